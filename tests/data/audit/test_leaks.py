"""Training samples in other data: found by name, equal or copied, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from copied_images import COPIED, brighten, leak, reencode

from expkit.data.audit.leaks import find_leaks
from expkit.data.datasets.scan_lines import ScanLines
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset, Samples
from expkit.diagnosis.rules.data.duplicates import expected_near


@pytest.fixture(scope="module")
def scans() -> Dataset:
    return ScanLines(num_samples=500, size=64).read(silent)


def test_other_data_has_none(scans: Dataset) -> None:
    """Held-out scans, alike as they are, are no training samples; they are known as the run's."""
    found = find_leaks(scans.splits, {"train": scans.splits["val"]})["train"]
    assert (found["exact"], found["near"], found["pairs"]) == (0, 0, [])
    assert found["part_of"] == "val"


def test_equal_samples_are_named(scans: Dataset) -> None:
    """Whatever split of the other data they stand in, train too; another set is no part of any."""
    leaky = leak(scans, lambda picture: picture)
    found = find_leaks(scans.splits, {"train": leaky.splits["val"]})["train"]
    names = scans.splits["train"].names
    assert found["exact"] == 10
    assert found["pairs"] == [(f"copy_{i}", names[i], 1.0) for i in COPIED]
    assert found["part_of"] is None


@pytest.mark.slow
def test_near_copies_are_named(scans: Dataset) -> None:
    """Encoded anew or brightened: all ten, more than are expected of scans that are alike."""
    names = scans.splits["train"].names
    for copy in (reencode, brighten):
        found = find_leaks(scans.splits, {"test": leak(scans, copy).splits["val"]})["test"]
        assert (found["exact"], found["near"]) == (0, 10)
        assert [pair[:2] for pair in found["pairs"]] == [(f"copy_{i}", names[i]) for i in COPIED]
        assert expected_near(found["within"], 10) < 10


def test_plain_images_are_no_copies(scans: Dataset) -> None:
    """Two black images are equal, and no leak."""
    black = np.zeros((4, 64, 64, 1), np.uint8)
    dark = Samples(black, np.zeros(4, np.int64), ["a", "b", "c", "d"])
    assert find_leaks({"train": dark}, {"test": dark})["test"]["exact"] == 0


def test_expected_near_by_hand() -> None:
    """5 of 100 training images have a twin: 2 * 0.05 * 40 = 4, and 3 * sqrt(4) + 1 = 7 more."""
    assert expected_near({"asked": 100, "count": 5}, 40) == pytest.approx(11)
    assert expected_near({}, 40) == 1
