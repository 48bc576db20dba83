"""Splits, folds, limits and fractions: by class, by seed, and never out of what is held out."""

from __future__ import annotations

import numpy as np
import pytest

from expkit.data.datasets.digits import Digits
from expkit.data.store.progress import silent
from expkit.data.store.samples import Samples
from expkit.data.store.splitting import Selection, draw_fraction, tell_made
from expkit.errors import UserError


def samples_of(*counts: int, start: int = 0) -> Samples:
    """So many of each class, in turns as far as they go; pixel and name say which sample it is."""
    targets = np.sort(np.repeat(np.arange(len(counts)), counts))
    numbers = np.arange(start, start + len(targets))
    images = numbers.astype(np.uint8).reshape(-1, 1, 1, 1)
    return Samples(images, targets, [str(number) for number in numbers])


def names_of(splits: dict[str, Samples]) -> dict[str, list[int]]:
    for samples in splits.values():  # images, targets and names went the same way
        assert samples.rows is None
        assert samples.images.flatten().tolist() == [int(name) for name in samples.names]
    return {split: [int(name) for name in samples.names] for split, samples in splits.items()}


def test_val_and_test_are_made_of_train() -> None:
    """By class: of 20 and 10 samples a tenth each is 2 and 1, and none is in two splits."""
    splits = Selection(val_fraction=0.1, test_fraction=0.1).divide({"train": samples_of(20, 10)})
    counts = {split: np.bincount(samples.targets).tolist() for split, samples in splits.items()}
    assert counts == {"train": [16, 8], "val": [2, 1], "test": [2, 1]}
    names = names_of(splits)
    assert sorted(name for each in names.values() for name in each) == list(range(30))
    assert all(each == sorted(each) for each in names.values())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["train"], ["train", "val", "test"]),
        (["train", "val"], ["train", "val"]),
        (["train", "test"], ["train", "test", "val"]),
        (["train", "val", "test"], ["train", "val", "test"]),
    ],
)
def test_only_what_lacks_is_made(given: list[str], expected: list[str]) -> None:
    """Held-out data that the user has is used as it is; a val is made where there is none."""
    samples = {name: samples_of(20, 20, start=40 * i) for i, name in enumerate(given)}
    splits = Selection().divide(samples)
    assert list(splits) == expected
    for name in set(given) - {"train"}:
        assert list(splits[name].names) == list(samples[name].names)
    assert len(tell_made(samples, splits)) == (len(given) == 1 or given == ["train", "test"])


@pytest.mark.parametrize("fraction", ["val_fraction", "test_fraction"])
def test_fraction_of_zero_makes_no_such_split(fraction: str) -> None:
    """0 is a way to say no."""
    splits = Selection(**{fraction: 0.0}).divide({"train": samples_of(20, 20)})
    assert fraction.removesuffix("_fraction") not in splits
    assert len(splits) == 2


def test_folds_share_out_train_and_val() -> None:
    """Over all folds each sample of both is val once; the test split stays; classes are equal."""
    given = {
        "train": samples_of(10, 5),
        "val": samples_of(5, 5, start=50),
        "test": samples_of(2, 2, start=90),
    }
    seen: list[int] = []
    for fold in range(5):
        splits = Selection(fold=fold, num_folds=5).divide(given)
        names = names_of(splits)
        assert names["test"] == [90, 91, 92, 93]
        assert not set(names["train"]) & set(names["val"])
        assert len(names["train"]) == 20
        assert np.bincount(splits["val"].targets).tolist() == [3, 2]
        seen += names["val"]
    assert sorted(seen) == [*range(15), *range(50, 60)]


def test_folds_need_no_val_of_their_own() -> None:
    """Where only train was given, the test split is made, and all the rest is pooled."""
    splits = Selection(fold=0, num_folds=4, test_fraction=0.2).divide({"train": samples_of(20, 20)})
    assert {name: len(samples) for name, samples in splits.items()} == {
        "train": 24,
        "val": 8,
        "test": 8,
    }


def test_limit_takes_the_first_of_each_class_everywhere() -> None:
    """By hand: two of each class; a class with one gives one."""
    given = {"train": samples_of(3, 4), "val": samples_of(1, 3, start=50)}
    names = names_of(Selection(limit=2).divide(given))
    assert names == {"train": [0, 1, 3, 4], "val": [50, 51, 52]}


def test_fraction_leaves_what_is_held_out() -> None:
    """A learning curve is measured on the same samples: only train gets smaller, by class."""
    given = {"train": samples_of(20, 10), "val": samples_of(4, 4, start=50)}
    splits = Selection(fraction=0.5).divide(given)
    assert np.bincount(splits["train"].targets).tolist() == [10, 5]
    assert list(splits["val"].names) == list(given["val"].names)


def test_larger_fractions_hold_the_smaller_ones() -> None:
    """The points of a learning curve differ by what is added, not by what was drawn."""
    targets = np.repeat([0, 1, 2], [50, 20, 3])
    tenth, half = (set(draw_fraction(targets, f, seed=1).tolist()) for f in (0.1, 0.5))
    assert tenth < half
    assert np.bincount(targets[sorted(tenth)]).tolist() == [5, 2, 1]  # no class is lost
    assert half != set(draw_fraction(targets, 0.5, seed=2).tolist())


def test_same_seed_same_samples() -> None:
    """Whatever numpy drew meanwhile; another seed makes others."""
    options = {"fraction": 0.5, "fold": 1}
    first = names_of(Selection(**options).divide({"train": samples_of(30, 30)}))
    np.random.seed(5)
    assert names_of(Selection(**options).divide({"train": samples_of(30, 30)})) == first
    other = Selection(**options, split_seed=1).divide({"train": samples_of(30, 30)})
    assert names_of(other) != first


def test_fold_out_of_range_is_refused() -> None:
    """Folds are counted from 0."""
    with pytest.raises(UserError, match="no fold 5 of 5") as caught:
        Selection(fold=5)
    assert caught.value.details["allowed"] == "0 to 4"


def test_class_with_too_few_samples_for_folds_is_refused() -> None:
    """A fold without a class would be judged on others than the rest."""
    with pytest.raises(UserError, match="has 3 samples, too few for each of 5 folds"):
        Selection(fold=0, test_fraction=0).divide({"train": samples_of(9, 3)})


def test_class_with_one_sample_cannot_be_split() -> None:
    """A user's error, with the keys that ask for the split."""
    with pytest.raises(UserError, match="are too few for 3 splits") as caught:
        Selection().divide({"train": samples_of(9, 1)})
    assert "dataset.val_fraction=0.15" in (caught.value.details["where"] or "")
    assert "more images of class 1" in (caught.value.details["do"] or "")


@pytest.mark.parametrize(
    ("counts", "fractions", "proposed"),
    [
        ((7, 5), {}, {"val_fraction": 0.17, "test_fraction": 0.17}),  # 0.15 of 12 are 1.8
        ((9, 2), {}, {"val_fraction": 0.19, "test_fraction": 0}),  # two samples, two splits
        ((7, 5), {"test_fraction": 0}, {"val_fraction": 0.17, "test_fraction": 0}),
    ],
)
def test_few_images_are_told_the_fractions_that_hold_them(
    counts: tuple[int, int], fractions: dict[str, float], proposed: dict[str, float]
) -> None:
    """`Larger fractions` was the advice, also to who had given test_fraction=0 as it said."""
    given = {"train": samples_of(*counts)}
    with pytest.raises(UserError, match="'rare' has") as caught:
        Selection(**fractions).divide(given, ["usual", "rare"])
    words = [f"dataset.{name}={value:g}" for name, value in proposed.items()]
    assert caught.value.details["do"] == " ".join(words)
    for split in Selection(**proposed).divide(given).values():
        assert set(split.targets.tolist()) == {0, 1}


def test_digits_take_them_all() -> None:
    """The fields of the base are the dataset's own: ten digits, one of each, in a fold."""
    splits = Digits(limit=1, fold=0).read(silent).splits
    assert {name: len(samples) for name, samples in splits.items()} == {
        "train": 10,
        "val": 10,
        "test": 10,
    }
