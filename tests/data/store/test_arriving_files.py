"""Files that appear in a folder: each is given out once it stands still, and none is missed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from expkit.data.store import arriving_files
from expkit.data.store.arriving_files import AGAIN_SECONDS, ArrivingFiles

NOW = time.time()


def write_old(path: Path, content: bytes = b"image") -> Path:
    """A file that was written a minute ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW - 60, NOW - 60))
    return path


def names_at(files: ArrivingFiles, seconds: float) -> list[str]:
    """The names of those that can be read so many seconds from now."""
    ready = files.look(time.time() + seconds)
    return [os.path.relpath(each.path, files.root) for each in ready]


def finish_all(files: ArrivingFiles, seconds: float) -> list[str]:
    ready = files.look(time.time() + seconds)
    for each in ready:
        files.finish(each)
    return [os.path.relpath(each.path, files.root) for each in ready]


def test_a_file_that_is_written_is_waited_for_until_it_stands_still(tmp_path: Path) -> None:
    files = ArrivingFiles(tmp_path)
    with (tmp_path / "a.png").open("wb", buffering=0) as stream:
        for _ in range(3):  # it grows at every look
            stream.write(b"part")
            assert names_at(files, 0) == []
    assert names_at(files, 1.0) == []
    assert names_at(files, 2.1) == ["a.png"]


def test_a_growing_file_is_waited_for_though_clocks_differ(tmp_path: Path) -> None:
    """Its times are of the other machine, an hour ahead of this one."""
    files, path = ArrivingFiles(tmp_path), tmp_path / "a.png"
    path.write_bytes(b"part")
    assert names_at(files, -3600) == []
    path.write_bytes(b"part and part")
    assert names_at(files, -3597) == []
    assert names_at(files, -3594) == ["a.png"]


def test_a_file_that_is_renamed_into_place_is_taken_at_once(tmp_path: Path) -> None:
    files, aside = ArrivingFiles(tmp_path), tmp_path / "a.part"
    aside.write_bytes(b"image")
    assert names_at(files, 0) == []
    deadline = time.monotonic() + 5
    while True:  # the clock of a file system ticks every few milliseconds
        aside.rename(tmp_path / "a.png")
        seen = (tmp_path / "a.png").stat()
        if seen.st_ctime_ns > seen.st_mtime_ns or time.monotonic() > deadline:
            break
        (tmp_path / "a.png").rename(aside)
    assert names_at(files, 0) == ["a.png"]


def test_old_files_are_taken_at_once_the_oldest_first(tmp_path: Path) -> None:
    for age, name in ((50, "b.png"), (90, "sub/c.jpg"), (70, "a.png")):
        os.utime(write_old(tmp_path / name), (NOW - age, NOW - age))
    files = ArrivingFiles(tmp_path)
    assert finish_all(files, 0) == ["sub/c.jpg", "a.png", "b.png"]
    assert finish_all(files, 1) == []


def test_what_is_no_image_or_hidden_or_leads_elsewhere_is_passed_by(tmp_path: Path) -> None:
    """A folder that is a link might lead in a circle; a link to nowhere is waited for."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    for path in (
        inside / "note.txt",
        inside / ".a.png",
        inside / ".cache/b.png",
        outside / "c.png",
    ):
        write_old(path)
    (inside / "folder.png").mkdir()
    (inside / "link").symlink_to(outside)
    os.mkfifo(inside / "pipe.png")
    (inside / "later.png").symlink_to(outside / "later.png")
    files = ArrivingFiles(inside)
    assert names_at(files, 0) == []
    write_old(outside / "later.png")
    assert names_at(files, 1) == ["later.png"]


def test_a_file_that_could_not_be_read_is_tried_again_when_it_is_certainly_still(
    tmp_path: Path,
) -> None:
    """Not at each look: a large one would be decoded each second."""
    write_old(tmp_path / "a.png")
    files = ArrivingFiles(tmp_path)
    (first,) = files.look(NOW)
    assert not first.is_still
    first.was_unreadable = True
    assert files.look(NOW + 1) == files.look(NOW + 9) == []
    (second,) = files.look(NOW + 10)
    assert second.is_still


def test_another_file_of_the_name_is_new_and_the_same_file_is_not(tmp_path: Path) -> None:
    path = write_old(tmp_path / "a.png")
    files = ArrivingFiles(tmp_path)
    assert finish_all(files, 0) == ["a.png"]
    path.rename(tmp_path / "elsewhere")
    assert finish_all(files, 1) == []
    (tmp_path / "elsewhere").rename(path)  # the same one came back
    assert finish_all(files, 2) == []
    write_old(path, b"other content")
    assert finish_all(files, 3) == ["a.png"]
    os.utime(path, (NOW - 30, NOW - 30))  # of the same size, from another time
    assert finish_all(files, 4) == ["a.png"]


def test_a_file_that_changes_after_the_look_is_told_apart_from_one_that_is_gone(
    tmp_path: Path,
) -> None:
    path = write_old(tmp_path / "a.png")
    (arrival,) = ArrivingFiles(tmp_path).look(NOW)
    assert arrival.is_unchanged()
    path.write_bytes(b"more than it was")
    assert not arrival.is_unchanged()
    path.unlink()
    assert arrival.is_gone()


def test_a_deleted_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"part")
    files = ArrivingFiles(tmp_path)
    assert names_at(files, 0) == []
    assert files.num_arriving == 1
    path.unlink()
    assert names_at(files, 5) == []
    assert files.num_arriving == 0


def test_a_folder_that_vanishes_is_named_until_it_is_there_again(tmp_path: Path) -> None:
    """What was done in it stays done."""
    root = tmp_path / "in"
    write_old(root / "a.png")
    files = ArrivingFiles(root)
    assert finish_all(files, 0) == ["a.png"]
    root.rename(tmp_path / "gone")
    assert finish_all(files, 1) == []
    assert files.unreadable == {str(root): "no such file or directory"}
    (tmp_path / "gone").rename(root)
    write_old(root / "b.png")
    assert finish_all(files, 2) == ["b.png"]
    assert files.unreadable == {}


def test_a_folder_below_that_is_removed_is_no_fault(tmp_path: Path) -> None:
    write_old(tmp_path / "sub/a.png")
    files = ArrivingFiles(tmp_path)
    assert finish_all(files, 0) == ["sub/a.png"]
    (tmp_path / "sub/a.png").unlink()
    (tmp_path / "sub").rmdir()
    assert finish_all(files, 1) == []
    assert files.unreadable == {}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, int]]:
    """Tells how many folders were read and how many files were looked at since it was asked."""
    counts = [0, 0]
    scan, state = os.scandir, arriving_files._state_of

    def scandir(path: str) -> object:
        counts[0] += 1
        return scan(path)

    def state_of(seen: os.stat_result) -> arriving_files.FileState:
        counts[1] += 1
        return state(seen)

    monkeypatch.setattr(arriving_files.os, "scandir", scandir)
    monkeypatch.setattr(arriving_files, "_state_of", state_of)

    def ask() -> tuple[int, int]:
        so_far = (counts[0], counts[1])
        counts[:] = [0, 0]
        return so_far

    return ask


def test_many_old_files_are_not_looked_at_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Callable[[], tuple[int, int]]
) -> None:
    """An unchanged folder is not even read; a new file costs one look, and not one at each."""
    monkeypatch.setattr(arriving_files, "FEW", 3)
    for number in range(10):
        write_old(tmp_path / f"{number}.png")
    os.utime(tmp_path, (NOW - 60, NOW - 60))
    files = ArrivingFiles(tmp_path)
    assert len(finish_all(files, 0)) == 10
    assert counted() == (1, 10)
    assert finish_all(files, 1) == finish_all(files, 2) == []
    assert counted() == (0, 0)
    write_old(tmp_path / "new.png")
    assert finish_all(files, 3) == ["new.png"]
    assert counted() == (1, 1)
    write_old(tmp_path / "5.png", b"written over in its place")  # which no folder's time tells
    assert finish_all(files, AGAIN_SECONDS + 1) == ["5.png"]
    assert counted() == (1, 11)
