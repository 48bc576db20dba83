"""Duplicates: every copy is found by name, and images that are merely alike are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from copied_images import COPIED, Picture, brighten, leak, reencode, resize, roughen

from expkit.data.audit.data_profile import profile_dataset
from expkit.data.datasets.scan_lines import ScanLines
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, Samples


@pytest.fixture(scope="module")
def scans() -> Dataset:
    return ScanLines(num_samples=500, size=64).read(silent)


@pytest.mark.slow
def test_scans_of_the_same_tip_are_no_copies(scans: Dataset) -> None:
    """Alike as they are, none of 75 + 75 held-out scans stands in train."""
    across = profile_dataset(scans)["duplicates"]["across"]
    assert (across["count"], across["pairs"]) == (0, [])


def test_copies_are_named_byte_for_byte(scans: Dataset) -> None:
    """Every pair of names, and nothing else."""
    across = profile_dataset(leak(scans, lambda picture: picture))["duplicates"]["across"]
    names = scans.splits["train"].names
    assert (across["count"], across["exact"], across["near"]) == (10, 10, 0)
    assert across["pairs"] == [["val", f"copy_{i}", "train", names[i], 1.0] for i in COPIED]


@pytest.mark.broad(1)
@pytest.mark.parametrize("copy", [reencode, brighten, resize, roughen])
def test_near_copies_are_named(scans: Dataset, copy: Callable[[Picture], Picture]) -> None:
    """All ten of those that were encoded, brightened, resized or roughened, and no other."""
    across = profile_dataset(leak(scans, copy))["duplicates"]["across"]
    names = scans.splits["train"].names
    assert (across["exact"], across["near"]) == (0, 10)
    assert [pair[:4] for pair in across["pairs"]] == [
        ["val", f"copy_{i}", "train", names[i]] for i in COPIED
    ]


@pytest.mark.slow
def test_moved_copies_are_mostly_found(scans: Dataset) -> None:
    """By a pixel, eight of ten at least, and nothing that is no copy."""
    moved = leak(scans, lambda picture: np.roll(picture, (1, 1), (0, 1)))
    pairs = profile_dataset(moved)["duplicates"]["across"]["pairs"]
    assert len(pairs) >= 8
    names = scans.splits["train"].names
    assert all(there == names[int(here.removeprefix("copy_"))] for _, here, _, there, _ in pairs)


def test_pictures_of_one_template_are_no_copies() -> None:
    """Where all images of a class are one pattern and noise, each is alike to all others."""
    rng = np.random.default_rng(0)
    templates = rng.integers(0, 256, (3, 32, 32, 1))
    labels = np.arange(240) % 3
    noisy = templates[labels] + rng.normal(0, 8, (240, 32, 32, 1))
    images = np.clip(noisy, 0, 255).astype(np.uint8)
    dataset = Dataset(
        {
            "train": Samples(images[:180], labels[:180], [f"train_{i}" for i in range(180)]),
            "val": Samples(images[180:], labels[180:], [f"val_{i}" for i in range(60)]),
        },
        "unit",
        class_names=["a", "b", "c"],
    )
    assert profile_dataset(dataset)["duplicates"]["across"]["count"] == 0


def draw_squares(count: int, seed: int, noise: float) -> tuple[Picture, npt.NDArray[np.int64]]:
    """Squares and crosses of any colour at one of nine places, on a ground of any other."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows, columns = np.mgrid[:24, :24]
    pictures = []
    for label in labels:
        down, right = (abs(each - rng.integers(10, 13)) for each in (rows, columns))
        far, near = np.maximum(down, right), np.minimum(down, right)
        inside = (far < 8) & (near < 3) if label else far < 7
        colour, ground = rng.uniform(130, 255, 3), rng.uniform(0, 110, 3)
        pictures.append(np.where(inside[..., None], colour, ground))
    noisy = np.stack(pictures) + rng.normal(0, noise, (count, 24, 24, 3))
    return noisy.clip(0, 255).astype(np.uint8), labels


def squares(noise: float) -> Dataset:
    splits = {}
    for seed, (name, count) in enumerate((("train", 300), ("val", 100))):
        names = [f"{name}_{i}" for i in range(count)]
        splits[name] = Samples(*draw_squares(count, seed, noise), names)
    return Dataset(splits, "unit", class_names=["square", "cross"])


def test_shapes_in_one_place_are_no_copies() -> None:
    """Other colours, or another grain, are another image, though every edge agrees."""
    assert profile_dataset(squares(noise=10))["duplicates"]["across"]["count"] == 0


def test_copies_of_shapes_are_named() -> None:
    """All ten brighter ones, and nothing else."""
    pairs = profile_dataset(leak(squares(noise=10), brighten))["duplicates"]["across"]["pairs"]
    assert [pair[1:4:2] for pair in pairs] == [[f"copy_{i}", f"train_{i}"] for i in COPIED]


def test_pictures_without_grain_are_as_near_within_train() -> None:
    """Three colours and nine places repeat themselves: as often in train as across."""
    rng = np.random.default_rng(0)
    splits = {}
    for name, count in (("train", 300), ("val", 100)):
        images = np.zeros((count, 32, 32, 1), np.uint8)
        for image in images:
            down, right = rng.integers(0, 9, 2)
            image[down : down + 20, right : right + 20] = rng.choice([150, 200, 250])
        labels = np.arange(count) % 2
        splits[name] = Samples(images, labels, [f"{name}_{i}" for i in range(count)])
    found = profile_dataset(Dataset(splits, "unit", class_names=["a", "b"]))["duplicates"]
    assert found["across"]["near"] > 20
    assert found["near_within"]["asked"] == 300
    assert found["near_within"]["count"] > 60


def test_twins_within_train_and_their_labels(scans: Dataset) -> None:
    """An image three times under two labels: two repeats, and three samples in conflict."""
    train = scans.splits["train"]
    images = np.concatenate([train.images, train.images[[7, 7, 9]]])
    other = (train.targets[7] + 1) % 4
    targets = np.concatenate([train.targets, [train.targets[7], other, train.targets[9]]])
    names = [*train.names, "same", "other", "again"]
    twins = replace(scans, splits={"train": Samples(images, targets, names)})
    found = profile_dataset(twins)["duplicates"]
    assert found["within"]["train"]["count"] == 3
    assert found["within"]["train"]["groups"][0] == [train.names[7], "same", "other"]
    assert found["conflicting"]["count"] == 3
    assert found["conflicting"]["groups"][0][2] == ("other", int(other))
