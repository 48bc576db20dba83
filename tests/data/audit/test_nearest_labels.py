"""What neighbours say of labels: on digits that are sound, shuffled, and numbered otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expkit.data.audit.data_profile import profile_dataset
from expkit.data.audit.nearest_labels import _distances, _reduce
from expkit.data.datasets.digits import Digits
from expkit.data.datasets.scan_lines import ScanLines
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return Digits().read(silent)


def relabel(dataset: Dataset, split: str, targets: np.ndarray) -> Dataset:
    changed = replace(dataset.splits[split], targets=targets)
    return replace(dataset, splits={**dataset.splits, split: changed})


def test_sound_digits_are_known_to_their_neighbours(digits: Dataset) -> None:
    """Nearly all, in train and held out; no label departs from a clear vote, nothing is moved."""
    told = profile_dataset(digits)["neighbours"]
    assert told["train"]["balanced_accuracy"] > 0.95
    assert told["val"]["accuracy"] > 0.95
    assert told["train"]["departing_where_clearest"] == 0
    assert told["suspects"] == []
    assert told["val"]["moved"] == []


def test_shuffled_labels_are_at_chance(digits: Dataset) -> None:
    """Votes on them score what unrelated answers do: a tenth."""
    shuffled = np.random.default_rng(0).permutation(digits.splits["train"].targets)
    train = profile_dataset(relabel(digits, "train", shuffled))["neighbours"]["train"]
    assert train["unrelated"] == pytest.approx(0.1, abs=0.01)
    assert train["accuracy"] == pytest.approx(train["unrelated"], abs=4 * np.sqrt(0.09 / 1257))


def test_another_numbering_is_found_and_judged_on_other_samples(digits: Dataset) -> None:
    """Two swapped classes are named as such; the accuracy comes back by numbering them so."""
    swapped = np.array([1, 0, *range(2, 10)])[digits.splits["val"].targets]
    val = profile_dataset(relabel(digits, "val", swapped))["neighbours"]["val"]
    assert val["moved"] == [[0, 1], [1, 0]]
    assert val["accuracy"] < 0.82
    assert val["renumbered_accuracy"] > 0.95


def test_wrong_labels_are_suspected_by_name(digits: Dataset) -> None:
    """Of a tenth of labels that are wrong, all suspects that are listed are."""
    samples = digits.splits["train"]
    wrong = np.arange(0, len(samples), 10)
    targets = samples.targets.copy()
    targets[wrong] = (targets[wrong] + 3) % 10
    suspects = profile_dataset(relabel(digits, "train", targets))["neighbours"]["suspects"]
    assert len(suspects) == 20
    assert set(suspects) <= {samples.names[i] for i in wrong}


@pytest.mark.slow
def test_textures_are_known_by_their_spectrum() -> None:
    """Scans of a tip differ in every pixel, and not in their waves."""
    told = profile_dataset(ScanLines(num_samples=800, size=64).read(silent))["neighbours"]
    assert told["view"] == "spectrum"
    assert told["train"]["accuracy"] > told["train"]["majority"] + 0.1


@pytest.mark.parametrize("count", [24, 300])
def test_fewer_pictures_than_features_are_as_far_apart_as_by_all_directions(count: int) -> None:
    """The small product of 24 images has the strengths of the one of 192 features."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(20, 192)) * np.linspace(1, 0.1, 20)[:, None]
    train, val = ((rng.normal(size=(n, 20)) @ mixing).astype(np.float32) for n in (count, 6))
    centred = train - train.mean(0)
    strengths, directions = np.linalg.eigh(centred.T.astype(float) @ centred / count)
    scale = np.maximum(strengths, strengths[-1] * 1e-4) ** -0.25
    expected = [(each - train.mean(0)) @ (directions * scale)[:, -20:] for each in (train, val)]
    reduced = _reduce({"train": train, "val": val})
    assert reduced["train"].shape[1] <= min(count, 40)
    for ours, theirs in (("train", 0), ("val", 1)):
        np.testing.assert_allclose(
            _distances(reduced[ours], reduced["train"]),
            _distances(expected[theirs], expected[0]),
            rtol=1e-2,
            atol=1e-2 * np.abs(expected[0]).max() ** 2,
        )
