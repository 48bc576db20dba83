"""Rules on duplicates, on digits that are damaged and on such that are sound."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from damaged_data import digits, evidence_of
from rule_findings import findings

from expkit.data.store.samples import Dataset, Samples
from expkit.diagnosis.finding import Finding


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
    "rule", ["duplicates_across_splits", "conflicting_duplicates", "repeated_images"]
)
def test_sound_digits_have_no_duplicates(rule: str) -> None:
    """Not one of 1,797."""
    assert findings(rule, evidence_of(digits())) == []


def test_leaked_pictures_are_listed_by_name() -> None:
    """Nine held-out images that stand in train, each beside its twin."""
    dataset = digits()
    leaky = enlarge(dataset, "val", some_of(dataset.splits["train"], 9))
    (found,) = findings("duplicates_across_splits", evidence_of(leaky))
    assert (found.severity, found.evidence["identical"]) == ("warning", 9)
    names = dataset.splits["train"].names
    assert found.evidence["images"] == [f"val/copy_{i} = train/{names[i]}" for i in range(9)]


def test_one_identical_picture_of_hundreds_is_a_warning() -> None:
    """It is a fault of the split, and told as what it is."""
    dataset = digits()
    leaky = enlarge(dataset, "val", some_of(dataset.splits["train"], 1))
    (found,) = findings("duplicates_across_splits", evidence_of(leaky))
    assert found.severity == "warning"
    assert found.sentence == "1 image is, pixel for pixel, in both val and train"
    assert (found.evidence["identical"], "near copies" in found.evidence) == (1, False)


def test_an_identical_picture_is_a_warning_among_many_that_are_alike() -> None:
    """Near copies that train has of itself as well do not make it a likeness."""
    found = found_across(near=5, exact=1, within=30)
    assert found.severity == "warning"
    assert "pixel for pixel" in found.sentence
    assert "nearly" not in found.sentence
    assert (found.evidence["identical"], found.evidence["near copies"]) == (1, 5)


def test_test_pictures_among_those_that_choose_the_epoch_are_told() -> None:
    """What was trained on is not among them; the epoch is chosen on them all the same."""
    dataset = digits()
    leaky = enlarge(dataset, "test", some_of(dataset.splits["val"], 2))
    (found,) = findings("duplicates_across_splits", evidence_of(leaky))
    assert found.sentence == "2 images are, pixel for pixel, in both test and val"
    assert "the epoch is chosen" in found.cause


def test_an_identical_picture_under_another_label_is_said() -> None:
    """No answer to it is right in both splits."""
    dataset = digits()
    train = dataset.splits["train"]
    three = int(np.flatnonzero(train.targets == 3)[0])
    twin = Samples(train.images[[three]], np.array([5]), ["twin"])
    evidence = evidence_of(enlarge(dataset, "val", twin))
    assert json.dumps(evidence.signals)  # as it is written down
    (found,) = findings("duplicates_across_splits", evidence)
    assert "1 of them under another label" in found.sentence
    assert found.evidence["under another label"] == [
        f"val/twin (5) = train/{train.names[three]} (3)"
    ]


def test_conflicting_labels_are_listed() -> None:
    """An image that is a 3 here and a 5 there."""
    dataset = digits()
    train = dataset.splits["train"]
    three = int(np.flatnonzero(train.targets == 3)[0])
    twin = Samples(train.images[[three]], np.array([5]), ["twin"])
    (found,) = findings("conflicting_duplicates", evidence_of(enlarge(dataset, "train", twin)))
    assert found.evidence["images"] == [f"{train.names[three]} (3) = twin (5)"]


def test_repeated_images_are_a_note() -> None:
    """Twenty that stand twice under one label: told, and no fault of the labels."""
    dataset = digits()
    repeated = enlarge(dataset, "train", some_of(dataset.splits["train"], 20))
    (found,) = findings("repeated_images", evidence_of(repeated))
    assert (found.severity, found.evidence["count"]) == ("info", 20)
    assert findings("conflicting_duplicates", evidence_of(repeated)) == []


@pytest.mark.parametrize(("within", "severity"), [(30, "info"), (0, "warning")])
def test_near_copies_count_where_train_is_not_as_near_to_itself(within: int, severity: str) -> None:
    """Forty of 541: no leak where 30 of 600 training images have such a twin, too."""
    assert found_across(near=40, exact=0, within=within).severity == severity


def test_as_many_near_copies_as_train_has_of_itself_are_explained() -> None:
    """30 of 600 in train: of 541 there may be 54 and three standard deviations of 7.4, and one."""
    found = found_across(near=40, exact=0, within=30)
    assert found.evidence["no sign of a leak up to"] == 77
    assert "of 600 training images that were compared with the others 30 are" in found.sentence
    assert "up to 77 would be no sign of a leak" in found.sentence


@pytest.mark.parametrize("place", ["train", "test"])
def test_near_copies_beside_identical_ones_are_counted_too(place: str) -> None:
    """Two identical and forty near copies, where train has none of itself."""
    found = found_across(near=40, exact=2, within=0, place=place)
    assert found.sentence == (
        f"2 images are, pixel for pixel, in both val and {place}, 1 of them under another label; "
        "40 images more are nearly the same"
    )
    assert ("the epoch is chosen" in found.cause) == (place == "test")


def found_across(*, near: int, exact: int, within: int, place: str = "train") -> Finding:
    """The finding on sound digits beside so many pairs, with so many of 600 alike in train."""
    evidence = evidence_of(digits())
    (record,) = evidence.of_kind("data")
    likeness = [1.0] * exact + [0.97] * near
    pairs = [["val", f"v_{i}", place, f"t_{i}", alike] for i, alike in enumerate(likeness)]
    across = {"count": len(pairs), "exact": exact, "near": near, "pairs": pairs}
    if exact > 1:
        across["conflicting"] = {"count": 1, "pairs": [[["val", "v_0", 3], [place, "t_0", 5]]]}
    near_within = {"asked": 600, "count": within}
    duplicates = {**record["duplicates"], "across": across, "near_within": near_within}
    alike = replace(evidence, signals=[{**record, "duplicates": duplicates}])
    (found,) = findings("duplicates_across_splits", alike)
    return found


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
    (found,) = findings("repeated_images", evidence_of(copied))
    assert found.severity == "warning"
    assert found.evidence["num_distinct"] == 60
