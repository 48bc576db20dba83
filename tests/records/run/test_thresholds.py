"""The stored cut-offs: what they decide, and that a stranger's file is only data."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from expkit.errors import UserError
from expkit.records.run.thresholds import Threshold, decide, keep_threshold, read_thresholds

SHARE = {"count": 1, "total": 2, "fraction": 0.5, "interval": [0.1, 0.9]}
NONE = {"count": 0, "total": 0, "fraction": None, "interval": None}
HALF = {"num_samples": 4, "recall": SHARE, "maybe": SHARE, "wrong_class": NONE}
EVIDENCE = {half: {**HALF, "wrong_other": SHARE} for half in ("chosen_on", "confirmed_on")}
PIT = Threshold("pit", ["clean", "pit"], 0.1, 0.8, 0.99, 0.99, "val", 0, "confirmed", EVIDENCE)


def decide_two(threshold: Threshold, *scores: float) -> list[str]:
    return decide([threshold], np.array([[1 - s, s] for s in scores], np.float64))


def test_three_ways_and_both_ends() -> None:
    """A cut-off belongs to the side above it."""
    answers = decide_two(PIT, 0.05, 0.1, 0.5, 0.79, 0.8, 1.0)
    assert answers == ["clean", "maybe", "maybe", "maybe", "pit", "pit"]


def test_equal_cut_offs_leave_no_maybe() -> None:
    """Where one cut-off does for both."""
    assert decide_two(replace(PIT, low=0.8), 0.79, 0.8) == ["clean", "pit"]


def test_without_an_upper_cut_off_nothing_is_sure() -> None:
    """Even a probability of 1 is a maybe."""
    assert decide_two(replace(PIT, high=None), 0.05, 1.0) == ["clean", "maybe"]


def test_not_a_number_is_a_maybe() -> None:
    """A broken answer is nobody's sure answer."""
    assert decide_two(PIT, math.nan) == ["maybe"]


def test_of_many_classes_the_best_other_is_meant() -> None:
    """Surely not a pit: the most probable of the others, though the pit be likelier."""
    threshold = replace(PIT, class_names=["clean", "pit", "stone"], low=0.5)
    table = np.array([[0.25, 0.4, 0.35], [0.4, 0.3, 0.3], [0.05, 0.9, 0.05]])
    assert decide([threshold], table) == ["stone", "clean", "pit"]


def test_float32_answers_are_taken(tmp_path: Path) -> None:
    """As a model gives them, without changing them."""
    table = np.array([[0.1, 0.9]], np.float32)
    assert decide([PIT], table) == ["pit"]
    assert table[0, 1] == np.float32(0.9)


def of_three(class_name: str, low: float, high: float) -> Threshold:
    names = ["clean", "pit", "stone"]
    return replace(PIT, class_name=class_name, class_names=names, low=low, high=high)


def test_several_thresholds_decide_together() -> None:
    """The one class that claims a sample has it; two that do, or a doubt of one, are a maybe."""
    both = [of_three("pit", 0.2, 0.6), of_three("stone", 0.1, 0.3)]
    table = np.array(
        [
            [0.1, 0.8, 0.1],  # pit alone
            [0.65, 0.0, 0.35],  # stone alone
            [0.0, 0.65, 0.35],  # both
            [0.9, 0.05, 0.05],  # neither, and one class is left
            [0.6, 0.35, 0.05],  # in doubt of pit
            [np.nan, np.nan, np.nan],
        ]
    )
    assert decide(both, table) == ["pit", "stone", "maybe", "clean", "maybe", "maybe"]


def test_thresholds_of_all_classes_leave_no_other() -> None:
    """What every class turns down is a maybe, and no class that somebody has turned down."""
    every = [of_three(name, 0.5, 0.6) for name in ("clean", "pit", "stone")]
    assert decide(every, np.array([[0.4, 0.3, 0.3], [0.7, 0.2, 0.1]])) == ["maybe", "clean"]


def test_written_and_read_again(tmp_path: Path) -> None:
    """The same threshold; none where none was written."""
    assert read_thresholds(tmp_path) == ()
    for threshold in (PIT, replace(PIT, high=None, asked_precision=None)):
        keep_threshold(threshold, tmp_path)
        assert read_thresholds(tmp_path) == [threshold]


def test_another_class_stands_beside_the_first(tmp_path: Path) -> None:
    """A second choice for one class replaces its own alone."""
    clean = replace(PIT, class_name="clean", verdict="not confirmed")
    for threshold in (PIT, clean, replace(PIT, low=0.3)):
        keep_threshold(threshold, tmp_path)
    assert read_thresholds(tmp_path) == [clean, replace(PIT, low=0.3)]


def test_a_threshold_from_before_there_were_several_is_read(tmp_path: Path) -> None:
    """One alone in its file, which was confirmed or not."""
    record = asdict(PIT)
    del record["verdict"]
    for is_confirmed in (True, False):
        text = json.dumps({**record, "is_confirmed": is_confirmed})
        (tmp_path / "threshold.json").write_text(text)
        (found,) = read_thresholds(tmp_path)
        assert found.is_confirmed == is_confirmed
        assert found.low == PIT.low


@pytest.mark.parametrize(
    "changes",
    [
        *({"low": 0.9}, {"high": 1.5}, {"class_name": "stone"}, {"low": "0"}, {"more": 1}),
        *({"verdict": "sure"}, {"class_names": 3}, {"class_names": ["pit"]}),
        *({"evidence": {}}, {"evidence": {**EVIDENCE, "confirmed_on": {**HALF}}}),
        {
            "evidence": {
                **EVIDENCE,
                "chosen_on": {**HALF, "wrong_other": {**SHARE, "fraction": "x"}},
            }
        },
    ],
)
def test_a_file_that_holds_no_thresholds_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """Cut-offs in the wrong order, of an unknown class, of a wrong type, or with other keys."""
    first, second = asdict(PIT), {**asdict(PIT), **changes}
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps({"thresholds": [first, second]}))
    with pytest.raises(UserError, match="holds no thresholds"):
        read_thresholds(tmp_path)
    for text in ("{}", '{"thresholds": []}', '{"thresholds": 3}', '{"thresholds": [3]}'):
        path.write_text(text)
        with pytest.raises(UserError, match="holds no thresholds"):
            read_thresholds(tmp_path)
