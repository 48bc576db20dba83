"""The handwritten digits: split by class and seed, with nothing lost and nothing shared."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from expkit.data.datasets.digits import Digits
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.errors import UserError

NUM_DIGITS = 1797


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Digits().read(silent)


def test_splits_are_complete_and_disjoint(dataset: Dataset) -> None:
    """Every digit is in just one split: none is lost, and none is judged that was learnt."""
    names = [name for split in dataset.splits.values() for name in split.names]
    assert len(names) == len(set(names)) == NUM_DIGITS
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 1257, "val": 270, "test": 270}  # 540 held out: 0.3 of 1797, up


def test_splits_hold_the_classes_in_equal_shares(dataset: Dataset) -> None:
    """Each class has its share in each split, to a sample or two."""
    in_all = np.bincount(load_digits().target)
    for name, split in dataset.splits.items():
        counts = np.array(dataset.class_counts(name))
        assert np.abs(counts - in_all * len(split) / NUM_DIGITS).max() < 2


def test_pictures_belong_to_their_names_and_targets(dataset: Dataset) -> None:
    """Sample digit_0042 is scikit-learn's digit 42, its 17 grey levels spread over 0 to 255."""
    source = load_digits()
    assert list(dataset.class_names or ()) == list("0123456789")
    for split in dataset.splits.values():
        assert split.images.dtype == np.uint8
        assert split.images.shape[1:] == (8, 8, 1)
        assert split.images.max() == 255
        index = [int(name.removeprefix("digit_")) for name in split.names]
        levels = np.round(split.images[..., 0] / 255 * 16)
        assert np.array_equal(levels, source.images[index])
        assert np.array_equal(split.targets, source.target[index])


def test_split_seed_alone_decides_the_split(dataset: Dataset) -> None:
    """The same seed gives the same bytes whatever numpy drew before; another gives others."""
    np.random.seed(123)
    for name, split in Digits().read(silent).splits.items():
        assert split.fingerprint() == dataset.splits[name].fingerprint()
    other = Digits(split_seed=1).read(silent)
    assert set(other.splits["test"].names) != set(dataset.splits["test"].names)


def test_fractions_decide_the_sizes() -> None:
    """A tenth and a fifth are a tenth and a fifth, and the rest is for training."""
    splits = Digits(val_fraction=0.1, test_fraction=0.2).read(silent).splits
    assert abs(len(splits["val"]) - 179.7) <= 1.5
    assert abs(len(splits["test"]) - 359.4) <= 1.5


def test_fractions_that_leave_no_training_data_are_refused() -> None:
    """Nothing is read before that is said, and both keys are named."""
    with pytest.raises(UserError, match="train would be empty") as caught:
        Digits(val_fraction=0.5, test_fraction=0.5)
    assert caught.value.details["where"] == "dataset.val_fraction=0.5, dataset.test_fraction=0.5"


def test_fraction_too_small_for_ten_classes_is_refused() -> None:
    """A split of one sample cannot hold ten classes: a user's error, not a traceback."""
    with pytest.raises(UserError, match="are too few for 3 splits"):
        Digits(val_fraction=0.0005, test_fraction=0.15).read(silent)
