"""Pictures that stay in their file: the same batches as from memory, from views of one store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from expkit.data import mapped as mapped_module
from expkit.data.mapped import MappedPictures
from expkit.data.samples import Dataset, Normalisation, Samples
from expkit.data.selection import Selection
from expkit.data.split import Split, place_splits

COUNT = 40


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 4, 5, 3), np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> np.ndarray:
    np.save(tmp_path / "pictures.npy", noise())
    loaded: np.ndarray = np.load(tmp_path / "pictures.npy", mmap_mode="c")
    return loaded


def split_up(images: np.ndarray) -> dict[str, Samples]:
    names = [str(i) for i in range(COUNT)]
    digests = np.arange(COUNT).astype(np.uint64)
    everything = Samples(images, np.arange(COUNT) % 3, names, digests=digests)
    return Selection(fold=1, test_fraction=0.2, fraction=0.8).divide({"train": everything})


def place(images: np.ndarray, how: Normalisation = "dataset") -> dict[str, Split]:
    dataset = Dataset(split_up(images), how, class_names=["a", "b", "c"])
    return place_splits(dataset, torch.device("cpu"))


def walk(split: Split, **options: object) -> Iterator[torch.Tensor]:
    for images, targets in split.batches(7, **options):
        assert images.is_contiguous(memory_format=torch.channels_last)
        yield from (images, targets)


def test_selecting_from_a_file_copies_nothing(store: np.ndarray) -> None:
    """All splits look at the one store; from memory each has its own pictures."""
    for samples in split_up(store).values():
        assert samples.images is store
        assert samples.rows is not None
        assert np.array_equal(samples.rows, [int(name) for name in samples.names])
    for samples in split_up(noise()).values():
        assert samples.rows is None
        assert np.array_equal(samples.images, noise()[[int(name) for name in samples.names]])


@pytest.mark.parametrize("how", ["dataset", "unit", "sample"])
@pytest.mark.parametrize("is_drawn", [False, True])
def test_batches_are_those_from_memory(
    store: np.ndarray, how: Normalisation, is_drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, in order, shuffled and balanced, though pages are let go at every batch."""
    monkeypatch.setattr(mapped_module, "RELEASE_BYTES", 1)
    mapped, resident = place(store, how), place(noise(), how)
    for name in ("train", "val", "test"):
        assert isinstance(mapped[name].images_NHWC, MappedPictures)
        for drawn in ("shuffle", "balanced"):
            options = [
                {drawn: is_drawn, "generator": torch.Generator().manual_seed(3)} for _ in range(2)
            ]
            for one, other in zip(
                walk(mapped[name], **options[0]), walk(resident[name], **options[1]), strict=True
            ):
                assert torch.equal(one, other)


def test_spread_of_a_mapped_split(store: np.ndarray) -> None:
    """The few samples of a gate are the same, and resident: they are looked at again and again."""
    few, expected = (place(images)["train"].spread_out(5) for images in (store, noise()))
    assert isinstance(few.images_NHWC, torch.Tensor)
    assert torch.equal(few.images_NHWC, expected.images_NHWC)
    assert few.sample_names == expected.sample_names


def test_same_data_same_fingerprint(store: np.ndarray) -> None:
    """Mapped here and resident there, it is the same data; other samples are other data."""
    mapped, resident = split_up(store), split_up(noise())
    assert {n: s.fingerprint() for n, s in mapped.items()} == {
        n: s.fingerprint() for n, s in resident.items()
    }
    assert len({samples.fingerprint() for samples in mapped.values()}) == 3


def test_fingerprint_without_digests_is_that_of_the_bytes(store: np.ndarray) -> None:
    """Arrays of a user's are hashed a part at a time, in whichever way they are looked at."""
    rows = np.array([3, 1, 30])
    mapped = Samples(store, np.arange(3), list("abc"), rows)
    assert mapped.fingerprint() == Samples(noise()[rows], np.arange(3), list("abc")).fingerprint()
