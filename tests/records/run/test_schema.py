"""Records of another shape are told by the place in them that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata, StageResult
from expkit.records.run.schema import check_config, is_epoch
from expkit.records.typed_values import Count, Finite, check_shape


@dataclass(frozen=True)
class Record:
    count: Count
    pairs: list[tuple[str, Finite]]
    kind: Literal["a", "b"] = "a"
    figures: Mapping[str, float | None] | None = None


SOUND: dict[str, Any] = {
    "count": 3,
    "pairs": [["x", 0.5]],
    "figures": {"loss": math.nan, "f": None},
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": -1}, "count cannot be -1"),
        ({"count": True}, "count is 'True', which is not a whole number"),
        ({"count": 2**63}, "which is not a whole number"),
        ({"count": 1.5}, "count is '1.5', which is not a whole number"),
        ({"pairs": [["x", math.nan]]}, "pairs cannot be nan"),
        ({"pairs": [["x", math.inf]]}, "pairs cannot be inf"),
        ({"pairs": [["x"]]}, "pairs is .* not a list of 2"),
        ({"pairs": None}, "pairs is 'None', which is not a list"),
        ({"kind": "c"}, "kind is 'c'"),
        ({"figures": {"loss": "low"}}, "figures.loss is 'low', which is not a number"),
        ({"figures": {1: 2}}, "figures has the key '1', which is not text"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(change: dict[str, Any], told: str) -> None:
    """The sound record passes, and what a type does not name is not looked at."""
    check_shape({**SOUND, "more": object()}, Record)
    with pytest.raises(ValueError, match=told):
        check_shape({**SOUND, **change}, Record)


def test_what_is_missing_is_told() -> None:
    """Only what has no default is needed."""
    with pytest.raises(ValueError, match="it has no pairs"):
        check_shape({"count": 1}, Record)


FACTS = DatasetMetadata(
    name="pits",
    task="classification",
    class_names=("clean", "pit"),
    target_names=None,
    image_shape=(3, 8, 8),
    splits={"train": SplitMetadata(2, (1, 1), "f")},
    layouts={},
).to_json()
LAYOUT = {"image": "images/a.jpg", "rows": 1, "columns": 2, "cells": [0, 1]}


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": []},
        {"class_names": ["clean", "clean"]},
        {"class_names": None},
        {"task": "regression"},
        {"image_shape": [3, 8]},
        {"image_shape": [3, 0, 8]},
        {"splits": {}},
        {"splits": {"../x": FACTS["splits"]["train"]}},
        {"splits": {"train": {**FACTS["splits"]["train"], "class_counts": [0, 0]}}},
        {"splits": {"train": {**FACTS["splits"]["train"], "class_counts": [1]}}},
        {"splits": {"train": {**FACTS["splits"]["train"], "num_samples": math.nan}}},
        {"layouts": {"train": {**LAYOUT, "image": "../../x.png"}}},
        {"layouts": {"train": {**LAYOUT, "image": "/x.png"}}},
        {"layouts": {"train": {**LAYOUT, "cells": [0, 2]}}},
        {"layouts": {"train": {**LAYOUT, "cells": [0]}}},
        {"layouts": {"train": {**LAYOUT, "rows": 0}}},
        {"layouts": {"val": LAYOUT}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_facts_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    """Nothing is divided by no samples, and no image is looked for outside of the run."""
    DatasetMetadata.from_json({**FACTS, "layouts": {"train": LAYOUT}})
    with pytest.raises(ValueError, match=r"."):
        DatasetMetadata.from_json({**FACTS, **change})


@pytest.mark.parametrize(
    "change",
    [{"num_epochs": -1}, {"seconds": math.nan}, {"figures": {"loss": "x"}}, {"passed": None}],
    ids=str,
)
def test_results_of_stages_are_numbers(change: dict[str, Any]) -> None:
    """A diverged loss is one, too."""
    record = StageResult("train", True, "because", "Training", figures={"loss": math.nan}).to_json()
    StageResult.from_json(record)
    with pytest.raises(ValueError, match=next(iter(change))):
        StageResult.from_json({**record, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"procedure": []},
        {"procedure": {"../x": {}}},
        {"procedure": {"train": {"weights": "../../mine"}}},
        {"procedure": {"train": {"max_epochs": 10**30}}},
        {"criteria": []},
        {"compared_with": "x"},
        {"reference": {"figures": {"accuracy": "high"}}},
        {"diagnosis": {"ignore": 1}},
        {"evaluates": {}},
        {"seed": "0"},
    ],
    ids=str,
)
def test_configs_are_looked_at(change: dict[str, Any]) -> None:
    """As far as pages and later stages make something of them."""
    sound = {"name": "net", "procedure": {"train": {"_target_": "x", "max_epochs": 3}, "no": None}}
    check_config(sound)
    with pytest.raises(ValueError, match=r"."):
        check_config({**sound, **change})


def test_lines_of_the_history_are_numbers() -> None:
    """A line that a torn write or a stranger left is none."""
    line = {"stage": "train", "epoch": 3, "train/loss": math.nan, "lr": 0.1}
    assert is_epoch(line)
    wrong: list[dict[str, Any]] = [{"epoch": -1}, {"epoch": "3"}, {"train/loss": "x"}]
    wrong += [{"stage": stage} for stage in (1, "../../mine", "/mine", ".hidden", "", "a\nb")]
    assert not any(is_epoch({**line, **change}) for change in wrong)


def test_what_is_refused_is_one_screen(tmp_path: Any) -> None:
    """With the file, the place in it, and nothing of a value but its start."""
    from expkit.records.run.reader import explain_damage

    with pytest.raises(UserError) as caught, explain_damage(tmp_path / "dataset.json"):
        check_shape({"count": "x" * 10_000, "pairs": []}, Record)
    assert "'dataset.json' is damaged: count is 'xxx" in caught.value.what
    assert len(caught.value.what) < 200
