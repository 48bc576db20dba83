"""Stores of decoded images: made once, whole or not at all, resident where they fit."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from expkit.data.store import cache as cache_module
from expkit.data.store.cache import DIGESTS, IMAGES, METADATA, Cache, Store
from expkit.data.store.decoding import UnreadableImageError
from expkit.errors import UserError

Decoded = Iterator[np.ndarray | UnreadableImageError]
KEY = "0123456789abcdef"


def pictures(count: int = 5, unreadable: tuple[int, ...] = ()) -> Decoded:
    """Image i is all i."""
    for number in range(count):
        if number in unreadable:
            yield UnreadableImageError(f"reason {number}")
        else:
            yield np.full((2, 3, 3), number, np.uint8)


def refuse() -> Decoded:
    raise AssertionError("nothing is to be decoded again")
    yield


def levels(store: Store) -> list[int]:
    return store.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("memory_fraction", [0.0, 0.5])
def test_second_opening_decodes_nothing(tmp_path: Path, memory_fraction: float) -> None:
    """The same images, digests and reasons, mapped or resident as the fraction says."""
    cache = Cache(tmp_path, memory_fraction)
    first = cache.open(KEY, 5, lambda: pictures(unreadable=(0, 3)))
    again = cache.open(KEY, 5, refuse)
    for store in (first, again):
        assert levels(store) == [1, 2, 4]
        assert store.images.shape == (3, 2, 3, 3)
        assert store.unreadable == {0: "reason 0", 3: "reason 3"}
        assert isinstance(store.images, np.memmap) == (memory_fraction == 0)
    assert np.array_equal(first.digests, again.digests)
    assert len(set(first.digests.tolist())) == 3
    assert [path.name for path in tmp_path.iterdir()] == [KEY]  # nothing lies about


def test_store_without_a_readable_picture(tmp_path: Path) -> None:
    """All reasons are kept, so that they can be listed at once, now and at the next start."""
    for decode in (lambda: pictures(3, unreadable=(0, 1, 2)), refuse):
        store = Cache(tmp_path, 0.5).open(KEY, 3, decode)
        assert (len(store.images), len(store.unreadable)) == (0, 3)


def tear(folder: Path) -> None:
    path = folder / IMAGES
    path.write_bytes(path.read_bytes()[:-4])


def forget(folder: Path) -> None:
    (folder / METADATA).unlink()


def age(folder: Path) -> None:
    metadata = json.loads((folder / METADATA).read_text())
    (folder / METADATA).write_text(json.dumps({**metadata, "format": 0}))


def garble(folder: Path) -> None:
    (folder / METADATA).write_text('["not", "ours"]')


def shorten(folder: Path) -> None:
    np.save(folder / DIGESTS, np.zeros(2, np.uint64))


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("what is this?")


@pytest.mark.parametrize("damage", [tear, forget, age, garble, shorten, replace_by_file])
@pytest.mark.parametrize("memory_fraction", [0.0, 0.5])
def test_torn_or_foreign_stores_are_made_anew(
    tmp_path: Path, damage: Callable[[Path], None], memory_fraction: float
) -> None:
    """A machine that went down, another version, another hand: decoded again, and right again."""
    cache = Cache(tmp_path, memory_fraction)
    cache.open(KEY, 5, pictures)
    damage(tmp_path / KEY)
    assert levels(cache.open(KEY, 5, pictures)) == [0, 1, 2, 3, 4]
    assert levels(cache.open(KEY, 5, refuse)) == [0, 1, 2, 3, 4]


def test_two_at_once_both_end_well(tmp_path: Path) -> None:
    """Another process puts its store there while this one decodes: one of the two is used."""
    cache = Cache(tmp_path, 0.0)

    def decode_meanwhile() -> Decoded:
        yield from pictures(3)
        Cache(tmp_path, 0.0).open(KEY, 5, pictures)
        yield from list(pictures(5))[3:]

    assert levels(cache.open(KEY, 5, decode_meanwhile)) == [0, 1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_interrupted_decoding_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle: no half store is taken for a whole one."""

    def interrupted() -> Decoded:
        yield from pictures(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cache(tmp_path, 0.5).open(KEY, 5, interrupted)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is needed and what is free are said, with the way out."""
    usage = shutil._ntuple_diskusage(1000, 960, 40)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="the disk is too full") as caught:
        Cache(tmp_path, 0.5).open(KEY, 5, pictures)
    assert "dataset.cache_dir=FOLDER" in (caught.value.details["do"] or "")
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fills_up_meanwhile_is_refused(tmp_path: Path) -> None:
    """Other processes write too: the same message, and nothing left behind."""

    def filling() -> Decoded:
        yield from pictures(2)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="the disk is too full"):
        Cache(tmp_path, 0.5).open(KEY, 5, filling)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A folder that cannot be made, for root neither: its parent is a file."""
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "cache"


def test_unwritable_cache_keeps_pictures_resident(unwritable: Path) -> None:
    """The run goes on, and is told why each start decodes."""
    store = Cache(unwritable, 0.5).open(KEY, 5, lambda: pictures(unreadable=(0, 2)))
    assert levels(store) == [1, 3, 4]
    assert store.unreadable == {0: "reason 0", 2: "reason 2"}
    (remark,) = store.remarks
    assert "no cache could be written" in remark
    assert str(unwritable) in remark


def test_unwritable_cache_of_too_many_pictures_is_refused(unwritable: Path) -> None:
    """Neither file nor memory can hold them."""
    with pytest.raises(UserError, match="no cache can be written") as caught:
        Cache(unwritable, 0.0).open(KEY, 5, pictures)
    assert "dataset.cache_dir=FOLDER" in (caught.value.details["do"] or "")


def test_pictures_of_several_sizes_are_refused(tmp_path: Path) -> None:
    """The sizes are told with their numbers, the commonest first, and a size that fits them."""

    def mixed() -> Decoded:
        yield np.zeros((9, 4, 3), np.uint8)
        for _ in range(3):
            yield np.zeros((6, 8, 3), np.uint8)

    with pytest.raises(UserError, match="of 2 sizes") as caught:
        Cache(tmp_path, 0.5).open(KEY, 4, mixed)
    assert "8 x 6 (3), 4 x 9 (1)" in (caught.value.details["where"] or "")
    assert caught.value.details["do"] == "dataset.size=6"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="of 2 sizes"):  # without a cache as well
        Cache(tmp_path / "file", 0.5).open(KEY, 4, mixed)


def test_others_may_read_a_shared_cache(tmp_path: Path) -> None:
    """A store has the rights that the user's mask gives, and not its owner's alone."""
    mask = os.umask(0o022)
    try:
        Cache(tmp_path, 0.5).open(KEY, 5, pictures)
    finally:
        os.umask(mask)
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o755


def test_stores_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    """Nobody holds them: the next opening removes them, also where it finds its own store."""
    for _ in range(2):
        left = tmp_path / ".making_0123"
        left.mkdir()
        (left / IMAGES).write_bytes(b"half")
        Cache(tmp_path, 0.5).open(KEY, 5, pictures)
        assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_a_store_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    """Another start, with other images, in the middle of a decoding: both end well."""

    def decode_meanwhile() -> Decoded:
        yield from pictures(3)
        (aside,) = tmp_path.glob(".making_*")
        Cache(tmp_path, 0.5).open("another", 5, pictures)
        assert aside.exists()
        yield from list(pictures(5))[3:]

    assert levels(Cache(tmp_path, 0.5).open(KEY, 5, decode_meanwhile)) == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == [KEY, "another"]
