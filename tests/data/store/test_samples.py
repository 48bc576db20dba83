"""Samples and datasets: their counts, their fingerprints, and what nothing can be learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from expkit.data.store.samples import Dataset, Samples, check_dataset
from expkit.errors import UserError


def samples_of(targets: Sequence[int]) -> Samples:
    images = np.zeros((len(targets), 2, 2, 1), np.uint8)
    return Samples(images, np.array(targets, np.int64), [str(i) for i in range(len(targets))])


def test_absent_classes_are_counted_as_none() -> None:
    """Counts stand for all class names, so that weights and chance levels fit the outputs."""
    splits = {"train": samples_of([2, 0, 2]), "val": samples_of([1])}
    dataset = Dataset(splits, "none", class_names=["a", "b", "c", "d"])
    assert dataset.class_counts("train") == (1, 0, 2, 0)
    assert dataset.class_counts("val") == (0, 1, 0, 0)


def test_regression_has_no_class_counts() -> None:
    """Numbers are not counted."""
    assert (
        Dataset({"train": samples_of([0, 1])}, "none", target_names=["x"]).class_counts("train")
        is None
    )


def test_fingerprint_tells_data_apart() -> None:
    """One pixel, one target, or the same bytes in another shape make another fingerprint."""
    samples = samples_of([0, 1])
    brighter = samples.images.copy()
    brighter[1, 1, 1, 0] = 1
    others = [
        replace(samples, images=brighter),
        replace(samples, targets=np.array([1, 0])),
        replace(samples, images=samples.images.reshape(2, 4, 1, 1)),
    ]
    fingerprints = {other.fingerprint() for other in [samples, *others]}
    assert len(fingerprints) == 4
    assert samples.fingerprint() == samples_of([0, 1]).fingerprint()


@pytest.mark.parametrize("empty", ["train", "val"])
def test_empty_split_is_refused(empty: str) -> None:
    """Which split is empty is said."""
    splits = {"train": samples_of([0, 1]), "val": samples_of([0, 1]), empty: samples_of([])}
    with pytest.raises(UserError, match=f"the split '{empty}' is empty"):
        check_dataset(Dataset(splits, "none", class_names=["a", "b"]))


def test_one_class_alone_is_refused() -> None:
    """It is the training samples that count, not the names, nor the other splits."""
    splits = {"train": samples_of([1, 1]), "val": samples_of([0, 1])}
    with pytest.raises(UserError, match="holds 1 class,"):
        check_dataset(Dataset(splits, "none", class_names=["a", "b"]))


def test_sound_datasets_pass() -> None:
    """Two classes are enough, and a regression needs none."""
    check_dataset(Dataset({"train": samples_of([0, 1])}, "none", class_names=["a", "b", "c"]))
    check_dataset(Dataset({"train": samples_of([1, 1])}, "none", target_names=["x"]))


def test_splits_of_other_shapes_are_refused() -> None:
    """A model for one shape would meet another after all training is paid for."""
    larger = Samples(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]), ["a", "b"])
    splits = {"train": samples_of([0, 1]), "test": larger}
    with pytest.raises(UserError, match="differ in the shape") as caught:
        check_dataset(Dataset(splits, "none", class_names=["a", "b"]))
    assert "test: 4 x 4 x 1" in (caught.value.details["where"] or "")


@pytest.mark.parametrize("name", ["a\rb", "line\nbreak", "caf\udce9", "nul\0"])
def test_names_that_no_record_can_hold_are_refused(name: str) -> None:
    """They would end a run after it was paid for: of classes and of samples alike."""
    sound = samples_of([0, 1])
    with pytest.raises(UserError, match="cannot be written into records"):
        check_dataset(Dataset({"train": sound}, "none", class_names=["a", name]))
    odd = replace(sound, names=["a", name])
    with pytest.raises(UserError, match="cannot be written into records"):
        check_dataset(Dataset({"train": odd}, "none", class_names=["a", "b"]))
