"""Rules on duplicates, on digits that are damaged and on such that are sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from damaged_data import digits, evidence_of
from test_label_rules import findings

from expkit.data.samples import Dataset, Samples


def enlarge(dataset: Dataset, split: str, extra: Samples) -> Dataset:
    samples = dataset.splits[split]
    larger = Samples(
        np.concatenate([samples.images, extra.images]),
        np.concatenate([samples.targets, extra.targets]),
        [*samples.names, *extra.names],
    )
    return replace(dataset, splits={**dataset.splits, split: larger})


def some_of(samples: Samples, count: int) -> Samples:
    names = [f"copy_{i}" for i in range(count)]
    return Samples(samples.images[:count], samples.targets[:count], names)


@pytest.mark.parametrize(
    "rule", ["duplicates_across_splits", "conflicting_duplicates", "repeated_pictures"]
)
def test_sound_digits_have_no_duplicates(rule: str) -> None:
    """Not one of 1,797."""
    assert findings(rule, evidence_of(digits())) == []


def test_leaked_pictures_are_listed_by_name() -> None:
    """Nine held-out pictures that stand in train, each beside its twin."""
    dataset = digits()
    leaky = enlarge(dataset, "val", some_of(dataset.splits["train"], 9))
    (found,) = findings("duplicates_across_splits", evidence_of(leaky))
    assert (found.severity, found.evidence["count"]) == ("warning", 9)
    names = dataset.splits["train"].names
    assert found.evidence["pictures"] == [f"val/copy_{i} = train/{names[i]}" for i in range(9)]


def test_one_leaked_picture_of_hundreds_is_a_note() -> None:
    """One of 541 moves no accuracy that anybody compares."""
    dataset = digits()
    leaky = enlarge(dataset, "val", some_of(dataset.splits["train"], 1))
    (found,) = findings("duplicates_across_splits", evidence_of(leaky))
    assert found.severity == "info"


def test_conflicting_labels_are_listed() -> None:
    """A picture that is a 3 here and a 5 there."""
    dataset = digits()
    train = dataset.splits["train"]
    three = int(np.flatnonzero(train.targets == 3)[0])
    twin = Samples(train.images[[three]], np.array([5]), ["twin"])
    (found,) = findings("conflicting_duplicates", evidence_of(enlarge(dataset, "train", twin)))
    assert found.evidence["pictures"] == [f"{train.names[three]} (3) = twin (5)"]


def test_repeated_pictures_are_a_note() -> None:
    """Twenty that stand twice under one label: told, and no fault of the labels."""
    dataset = digits()
    repeated = enlarge(dataset, "train", some_of(dataset.splits["train"], 20))
    (found,) = findings("repeated_pictures", evidence_of(repeated))
    assert (found.severity, found.evidence["count"]) == ("info", 20)
    assert findings("conflicting_duplicates", evidence_of(repeated)) == []


@pytest.mark.parametrize(("within", "severity"), [(30, "info"), (0, "warning")])
def test_near_copies_count_where_train_is_not_as_near_to_itself(within: int, severity: str) -> None:
    """Forty of 541: no leak where 30 of 600 training pictures have such a twin, too."""
    evidence = evidence_of(digits())
    (record,) = evidence.of_kind("data")
    pairs = [["val", f"val_{i}", "train", f"train_{i}", 0.97] for i in range(40)]
    across = {"count": 40, "exact": 0, "near": 40, "pairs": pairs}
    near_within = {"asked": 600, "count": within}
    duplicates = {**record["duplicates"], "across": across, "near_within": near_within}
    alike = replace(evidence, signals=[{**record, "duplicates": duplicates}])
    (found,) = findings("duplicates_across_splits", alike)
    assert found.severity == severity


def test_few_pictures_copied_often_are_a_fault() -> None:
    """Sixty digits, each five times: 300 that are worth 60."""
    dataset = digits()
    train = dataset.splits["train"]
    few = Samples(train.images[:60], train.targets[:60], train.names[:60])
    for copy in range(4):
        again = Samples(few.images[:60], few.targets[:60], [f"{copy}_{i}" for i in range(60)])
        few = replace(
            few,
            images=np.concatenate([few.images, again.images]),
            targets=np.concatenate([few.targets, again.targets]),
            names=[*few.names, *again.names],
        )
    copied = replace(dataset, splits={**dataset.splits, "train": few})
    (found,) = findings("repeated_pictures", evidence_of(copied))
    assert found.severity == "warning"
    assert found.evidence["num_distinct"] == 60
