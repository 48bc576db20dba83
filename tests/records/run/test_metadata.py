"""What is written down of the data: which split judges, and what knowing nothing would score."""

from __future__ import annotations

import json
from dataclasses import replace
from math import log

import pytest

from expkit.records.run.metadata import DatasetMetadata, Layout, SplitMetadata, StageResult

FACTS = DatasetMetadata(
    name="Puzzle",
    task="classification",
    class_names=tuple("abcd"),
    target_names=None,
    image_shape=(3, 64, 64),
    splits={
        "train": SplitMetadata(10, (4, 3, 2, 1), "f1"),
        "val": SplitMetadata(5, (0, 4, 1, 0), "f2"),
        "test": SplitMetadata(8, (2, 2, 2, 2), "f3"),
    },
    layouts={"train": Layout("pictures/train.jpg", 2, 5, tuple(range(10)))},
)
POSITIONS = replace(
    FACTS,
    task="regression",
    class_names=None,
    target_names=("x", "y"),
    splits={"train": SplitMetadata(10, None, "f1")},
)


def with_splits(*names: str) -> DatasetMetadata:
    return replace(FACTS, splits={name: FACTS.splits[name] for name in names})


@pytest.mark.parametrize(
    ("splits", "judged", "monitored"),
    [
        (["train"], "train", "train"),
        (["train", "val"], "val", "val"),
        (["train", "test"], "test", "train"),
        (["train", "val", "test"], "test", "val"),
    ],
)
def test_least_used_split_judges(splits: list[str], judged: str, monitored: str) -> None:
    """test before val before train; and never does test choose the epoch."""
    metadata = with_splits(*splits)
    assert (metadata.judged_split, metadata.monitored_split) == (judged, monitored)


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        (["train"], "measured on the training samples: there is no held-out split"),
        (["train", "val"], "measured on held-out samples: val, 5 (which also chose the epoch)"),
        (["train", "test"], "measured on held-out samples: test, 8"),
        (["train", "val", "test"], "measured on held-out samples: test, 8"),
    ],
)
def test_every_figure_says_what_it_was_measured_on(splits: list[str], sentence: str) -> None:
    """On which samples, how many, and whether they had a say before."""
    assert with_splits(*splits).judged_on() == sentence
    last = with_splits(*splits).judged_on(epoch_chosen=False)
    assert last == sentence.removesuffix(" (which also chose the epoch)")


def test_levels_of_knowing_nothing() -> None:
    """Chance is 1/4 at loss ln 4; the largest class is 4 of 10, 4 of 5 and 2 of 8."""
    assert FACTS.num_classes == 4
    assert FACTS.chance_accuracy == 0.25
    assert FACTS.chance_loss == pytest.approx(log(4))
    majorities = [FACTS.majority_accuracy(split) for split in ("train", "val", "test")]
    assert majorities == [0.4, 0.8, 0.25]


def test_regression_has_no_such_levels() -> None:
    """Nobody guesses a class where there is none."""
    levels = (POSITIONS.num_classes, POSITIONS.chance_accuracy, POSITIONS.chance_loss)
    assert levels == (None, None, None)
    assert POSITIONS.majority_accuracy("train") is None


@pytest.mark.parametrize(
    ("num_classes", "splits", "expected"),
    [
        (4, ["train"], ["train/loss", "train/accuracy"]),
        (5, ["train", "test"], ["train/loss", "train/accuracy"]),
        (10, ["train"], ["train/loss", "train/accuracy", "train/top5_accuracy"]),
        (4, ["train", "val"], ["train/loss", "train/accuracy", "val/loss", "val/accuracy"]),
    ],
)
def test_recorded_metrics_are_those_of_an_epoch(
    num_classes: int, splits: list[str], expected: list[str]
) -> None:
    """Top 5 only where there are more than five, and val only where there is one."""
    names = tuple(str(i) for i in range(num_classes))
    metadata = replace(with_splits(*splits), class_names=names)
    assert metadata.recorded_metrics == tuple(expected)


def test_regression_records_the_loss_alone() -> None:
    """There is nothing to be right in."""
    assert POSITIONS.recorded_metrics == ("train/loss",)


@pytest.mark.parametrize("metadata", [FACTS, POSITIONS], ids=["classes", "numbers"])
def test_facts_come_back_from_json(metadata: DatasetMetadata) -> None:
    """Equal, tuples included, after a way through a file."""
    assert DatasetMetadata.from_json(json.loads(json.dumps(metadata.to_json()))) == metadata


def test_stage_results_come_back_from_json() -> None:
    """With figures, and with the defaults of a stage that had none."""
    full = StageResult("train", True, "all", "Training", 3, 10, 2, 1.5, 20.0, 99, {"val/loss": 0.1})
    for result in (full, StageResult("gate", False, "not learnt", "OverfitGate")):
        assert StageResult.from_json(json.loads(json.dumps(result.to_json()))) == result
