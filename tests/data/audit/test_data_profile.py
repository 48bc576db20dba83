"""The data profile: figures of each split by hand, what is bounded, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from expkit.data.audit import data_profile as census_module
from expkit.data.audit.data_profile import profile_dataset
from expkit.data.audit.image_stats import levels_and_grain
from expkit.data.datasets.digits import Digits
from expkit.data.datasets.puzzle import Puzzle
from expkit.data.store.cache import digest_of
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, Samples


def of_pictures(images: np.ndarray, **others: np.ndarray) -> Dataset:
    """Images with numbers as targets, so that nothing is asked of classes."""
    splits = {"train": images, **others}
    return Dataset(
        {
            name: Samples(
                each,
                np.zeros((len(each), 1), np.float32),
                [f"{name}_{i}" for i in range(len(each))],
            )
            for name, each in splits.items()
        },
        "unit",
        target_names=["x"],
    )


def test_figures_of_two_small_pictures() -> None:
    """Means, spreads and levels of a channel by hand, and a second channel that is constant."""
    images = np.zeros((2, 2, 2, 2), np.uint8)
    images[0, ..., 0] = [[0, 10], [20, 30]]  # mean 15
    images[1, ..., 0] = [[40, 40], [40, 40]]  # mean 40
    images[..., 1] = 7
    split = profile_dataset(of_pictures(images))["splits"]["train"]
    assert split["mean"] == pytest.approx([27.5, 7])
    assert split["std"] == pytest.approx([np.std([0, 10, 20, 30, 40, 40, 40, 40]), 0], abs=1e-3)
    assert split["std_of_means"] == pytest.approx([12.5, 0])
    assert (split["min"], split["max"]) == ([0, 7], [40, 7])
    assert split["constant_channels"] == [1]
    assert split["num_levels"] == 6  # 0, 7, 10, 20, 30, 40
    assert split["constant_images"] == {"count": 1, "names": ["train_1"]}


def test_images_on_their_own_have_the_levels_and_the_grain_of_the_profile() -> None:
    """What comes in later, one by one, is held against the quartiles of the profile."""
    images = np.random.default_rng(0).integers(0, 200, (9, 70, 90, 3)).astype(np.uint8)
    images[3:] //= 4
    split = profile_dataset(of_pictures(images))["splits"]["train"]
    alone = [levels_and_grain(image[None]) for image in images]
    levels = np.concatenate([each for each, _ in alone])
    grain = np.concatenate([each for _, each in alone])
    assert levels == pytest.approx(images.mean((1, 2)), rel=1e-5)
    assert split["quartiles_of_means"] == pytest.approx(
        np.percentile(levels.mean(1), [25, 50, 75]), rel=1e-6
    )
    assert split["grain"] == pytest.approx(np.percentile(grain, [25, 50, 75]), rel=1e-6)
    assert grain[:3].min() > 2 * grain[3:].max()


def test_large_data_is_looked_at_in_part_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the time allowed: a third of each split, from the first sample to the last."""
    monkeypatch.setattr(census_module, "BYTES_PER_SECOND", 540 * 64 / 3)
    dataset = Digits().read(silent)
    total = sum(map(len, dataset.splits.values()))
    splits = profile_dataset(dataset, max_seconds=total / 540)["splits"]
    assert {name: each["num_looked_at"] for name, each in splits.items()} == {
        "train": 419,
        "val": 90,
        "test": 90,
    }
    assert splits["train"]["num_samples"] == 1257


def test_mapped_pictures_give_the_same_census(tmp_path: Path) -> None:
    """Images in a file, reached by shuffled rows, are counted as those in memory."""
    dataset = Digits().read(silent)
    samples = dataset.splits["train"]
    order = np.random.default_rng(0).permutation(len(samples))
    np.save(tmp_path / "images.npy", samples.images[order])
    store = np.load(tmp_path / "images.npy", mmap_mode="c")
    mapped = Samples(store, samples.targets, samples.names, rows=np.argsort(order))
    assert mapped.is_mapped
    there = Dataset({"train": mapped}, "unit", class_names=dataset.class_names)
    here = Dataset({"train": samples}, "unit", class_names=dataset.class_names)
    assert profile_dataset(there) == profile_dataset(here)


def test_a_census_can_be_written_as_json() -> None:
    """No number of numpy is left in it, and it is a few kilobytes."""
    written = json.dumps(profile_dataset(Digits().read(silent)))
    assert 1000 < len(written) < 10_000


def test_a_puzzle_has_no_neighbours_and_numbers_have_no_classes() -> None:
    """One sample a class says nothing of labels; positions are not classes at all."""
    cells = profile_dataset(Puzzle(rows=4, columns=5, piece_size=16).read(silent))
    assert "neighbours" not in cells
    positions = profile_dataset(
        Puzzle(rows=4, columns=5, piece_size=16, target="position").read(silent)
    )
    assert "neighbours" not in positions
    assert "conflicting" not in positions["duplicates"]
    assert "class_counts" not in positions["splits"]["train"]


def test_black_pictures_alone_are_counted_and_compared_with_nothing() -> None:
    """Two black images are no duplicates, and their mean images have no correlation."""
    profile = profile_dataset(
        of_pictures(np.zeros((30, 8, 8, 1), np.uint8), val=np.zeros((9, 8, 8, 1), np.uint8))
    )
    assert profile["splits"]["train"]["constant_images"]["count"] == 30
    assert profile["splits"]["train"]["num_distinct"] == 1
    assert profile["duplicates"]["across"]["count"] == 0
    assert "mean_image_correlation" not in profile["splits"]["val"]


def test_known_digests_find_every_equal_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cache has the digests of all, a copy is found that the bound would have left out."""
    monkeypatch.setattr("expkit.data.audit.data_profile.BYTES_PER_SECOND", 2_000.0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 8, 8, 1), dtype=np.uint8)
    images[201] = images[100]
    digests = np.array([digest_of(picture) for picture in images], np.uint64)

    def split(chosen: slice) -> Samples:
        names = [str(i) for i in range(300)][chosen]
        targets = np.zeros(len(names), np.int64)
        return Samples(images[chosen], targets, names, digests=digests[chosen])

    splits = {"train": split(slice(0, 200)), "val": split(slice(200, 300))}
    profile = profile_dataset(Dataset(splits, "unit", class_names=["a", "b"]), max_seconds=1.0)
    assert profile["splits"]["train"]["num_looked_at"] < 100
    assert [pair[1::2] for pair in profile["duplicates"]["across"]["pairs"]] == [["201", "100"]]


def test_splits_of_black_images_alone_have_a_profile() -> None:
    """Nothing is like anything where no image has structure, and the rest is still measured."""
    rng = np.random.default_rng(0)
    splits = {
        name: Samples(
            np.zeros((count, 24, 24, 3), np.uint8),
            rng.permutation(np.arange(count) % 5),
            [f"{name}_{i}" for i in range(count)],
        )
        for name, count in {"train": 100, "val": 40}.items()
    }
    profile = profile_dataset(Dataset(splits, "unit", class_names=list("abcde")))
    assert profile["splits"]["train"]["num_distinct"] == 1
    assert profile["splits"]["train"]["constant_channels"] == [0, 1, 2]
    assert "neighbours" not in profile
