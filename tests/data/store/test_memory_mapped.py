"""Images that stay in their file: the same batches as from memory, from views of one store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from expkit.data.store.memory_mapped import MappedImages
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.split import Split, place_splits
from expkit.data.store.splitting import Selection
from expkit.errors import UserError

COUNT = 40


def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 4, 5, 3), np.uint8)


@pytest.fixture
def store(tmp_path: Path) -> np.ndarray:
    np.save(tmp_path / "images.npy", noise())
    loaded: np.ndarray = np.load(tmp_path / "images.npy", mmap_mode="c")
    return loaded


def split_up(images: np.ndarray) -> dict[str, Samples]:
    names = [str(i) for i in range(COUNT)]
    digests = np.arange(COUNT).astype(np.uint64)
    everything = Samples(images, np.arange(COUNT) % 3, names, digests=digests)
    return Selection(fold=1, test_fraction=0.2, fraction=0.8).divide({"train": everything})


def place(images: np.ndarray, how: Normalization = "dataset") -> dict[str, Split]:
    dataset = Dataset(split_up(images), how, class_names=["a", "b", "c"])
    return place_splits(dataset, torch.device("cpu"))


def walk(split: Split, **options: object) -> Iterator[torch.Tensor]:
    for images, targets in split.batches(7, **options):
        assert images.is_contiguous(memory_format=torch.channels_last)
        yield from (images, targets)


def test_selecting_from_a_file_copies_nothing(store: np.ndarray) -> None:
    """All splits look at the one store; from memory each has its own images."""
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
    store: np.ndarray, how: Normalization, is_drawn: bool
) -> None:
    """Bit for bit: in order, shuffled and balanced."""
    mapped, resident = place(store, how), place(noise(), how)
    for name in ("train", "val", "test"):
        assert isinstance(mapped[name].images_NHWC, MappedImages)
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


def test_a_cache_that_is_deleted_meanwhile_is_still_read(store: np.ndarray, tmp_path: Path) -> None:
    """Tidying up a cache folder does not end the runs that use it."""
    split = place(store, "none")["train"]
    expected = next(split.batches(7))[0]
    (tmp_path / "images.npy").unlink()
    assert torch.equal(next(split.batches(7))[0], expected)


def test_reading_holds_a_batch_and_not_the_file(tmp_path: Path) -> None:
    """An epoch over 200 MB leaves the process where it was, where a mapping would hold it all."""
    np.save(tmp_path / "large.npy", np.zeros((200, 1000, 1000, 1), np.uint8))
    large = np.load(tmp_path / "large.npy", mmap_mode="c")
    before = count_resident_bytes()
    pictures = MappedImages(large, None, torch.device("cpu"))
    for chosen in torch.randperm(200, generator=torch.Generator().manual_seed(0)).split(8):
        assert pictures.index_select(0, chosen).shape == (8, 1000, 1000, 1)
        assert count_resident_bytes() - before < 60e6


def count_resident_bytes() -> int:
    if not Path("/proc/self/statm").exists():
        pytest.skip("this system does not tell")
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_two_mapped_files_are_not_pooled(store: np.ndarray, tmp_path: Path) -> None:
    """One split's batches come from one file; resident ones are put together, in order."""
    np.save(tmp_path / "other.npy", noise()[:9])
    other = np.load(tmp_path / "other.npy", mmap_mode="c")
    names = [str(i) for i in range(COUNT)]
    first = Samples(store, np.arange(COUNT) % 3, names)
    with pytest.raises(UserError, match="cannot be pooled"):
        first.join(Samples(other, np.zeros(9, np.int64), names[:9]))
    joined = (
        Samples(noise(), np.arange(COUNT) % 3, names)
        .select(np.array([5, 2]))
        .join(Samples(noise()[:9], np.zeros(9, np.int64), names[:9]))
    )
    assert np.array_equal(joined.images, noise()[[5, 2, *range(9)]])
    assert joined.targets.tolist() == [2, 2, *[0] * 9]
    assert list(joined.names) == ["5", "2", *names[:9]]
