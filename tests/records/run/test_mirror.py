"""The second copy of a run: only what changed, whole at every instant, and never in the way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from expkit.records.files import copy_aside
from expkit.records.run import mirror as mirror_module
from expkit.records.run.mirror import FIRST, Mirror
from expkit.records.run.writer import hold_lock, is_locked

Silent = str.lower  # takes what is said


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run before its first epoch."""
    path = tmp_path / "outputs" / "run"
    path.mkdir(parents=True)
    for name in FIRST:
        (path / name).write_text(f"{name} of the run")
    (path / ".lock").touch()
    return path


@pytest.fixture
def mirror(run: Path, tmp_path: Path) -> Iterator[Mirror]:
    made = Mirror.of({"folder": str(tmp_path / "drive")}, run)
    assert made is not None
    yield made
    made.finish(Silent)
    made.close()


def learn(run: Path, stage: str, epoch: int, *, is_best: bool = True) -> None:
    """Leave what an epoch leaves: a line of the history, digests and checkpoints."""
    with (run / "history.jsonl").open("a") as history:
        history.write(json.dumps({"stage": stage, "epoch": epoch}) + "\n")
    folder = run / "checkpoints" / stage
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("best", "last") if is_best else ("last",):
        with (folder / "digests.jsonl").open("a") as digests:
            digests.write(f'"{name} {epoch}"\n')
        (folder / ".aside").write_text(f"{name} {epoch}")
        (folder / ".aside").rename(folder / f"{name}.safetensors")


def end(run: Path, stage: str) -> None:
    with (run / "stages.jsonl").open("a") as stages:
        stages.write(json.dumps({"stage": stage}) + "\n")


def content(folder: Path) -> dict[str, bytes]:
    """All files but the lock, by their places."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refuse_unresumable(copy: Path) -> None:
    """What a checkpoint needs is there: its lines, its digest, and the epochs of ended stages."""
    found = content(copy)
    assert set(FIRST) <= found.keys()
    lines = [json.loads(line) for line in found.get("history.jsonl", b"").splitlines()]
    ended = [json.loads(line)["stage"] for line in found.get("stages.jsonl", b"").splitlines()]
    for stage in ("head", "all"):
        folder = f"checkpoints/{stage}"
        epochs = [line["epoch"] for line in lines if line["stage"] == stage]
        for name in ("best", "last"):
            weights = found.get(f"{folder}/{name}.safetensors")
            if weights is not None:
                assert f'"{weights.decode()}"' in found[f"{folder}/digests.jsonl"].decode()
                assert int(weights.split()[1]) in epochs
        if stage in ended:
            assert found[f"{folder}/last.safetensors"] == f"last {epochs[-1]}".encode()


def test_a_copy_holds_everything_and_the_next_only_what_changed(run: Path, mirror: Mirror) -> None:
    """Files that stayed the same are the same files in the mirror; the lock is its own."""
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror.finish(Silent)
    assert content(mirror.target) == content(run)
    before = {path: path.stat().st_ino for path in mirror.target.rglob("*.*")}

    learn(run, "head", 2, is_best=False)
    mirror.epoch_done("head", 2)
    mirror.finish(Silent)

    assert content(mirror.target) == content(run)
    after = {path: path.stat().st_ino for path in mirror.target.rglob("*.*")}
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed == {"history.jsonl", "digests.jsonl", "last.safetensors"}
    assert is_locked(mirror.target)
    assert mirror.news() is None


@pytest.mark.parametrize("num_files", range(13))
def test_a_kill_between_any_two_files_leaves_what_can_be_resumed(
    num_files: int, run: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second epoch of one stage the run comes to the first of the next in one step."""
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror.finish(Silent)
    learn(run, "head", 2)
    end(run, "head")
    learn(run, "all", 1)
    left = iter(range(num_files))

    def copy_some(*words: object) -> None:
        if next(left, None) is None:
            raise SystemExit  # it ends here, as by a kill
        copy_aside(*words)

    with monkeypatch.context() as patch, contextlib.suppress(SystemExit):
        patch.setattr(mirror_module, "copy_aside", copy_some)
        mirror._work(list(mirror._changed()))
    refuse_unresumable(mirror.target)


def test_a_copy_is_of_the_epoch_at_which_it_began(
    run: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training goes on meanwhile: neither its checkpoints nor its lines get into the copy."""
    learn(run, "head", 1)
    may_copy = threading.Event()

    def copy_late(*words: object) -> None:
        may_copy.wait(10)
        copy_aside(*words)

    monkeypatch.setattr(mirror_module, "copy_aside", copy_late)
    mirror.epoch_done("head", 1)
    expected = content(run)
    learn(run, "head", 2)
    mirror.epoch_done("head", 2)  # put off: nobody waits
    may_copy.set()
    mirror._thread.join()
    assert content(mirror.target) == expected


def test_what_cannot_be_written_is_told_once_and_tried_again(
    run: Path, mirror: Mirror, tmp_path: Path
) -> None:
    """A drive that is away, and comes back empty, holds a whole copy in the end."""
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror.finish(Silent)
    shutil.rmtree(tmp_path / "drive")
    (tmp_path / "drive").write_text("no folder")
    told = []
    for epoch in (2, 3):
        learn(run, "head", epoch)
        mirror.epoch_done("head", epoch)
        mirror._thread.join()
        told.append(mirror.news())
    assert told[0] is not None
    assert told[0].is_first
    assert told[0].to_signal()["epoch"] == 2
    assert told[0].error == "not a directory"
    assert told[1] is None

    (tmp_path / "drive").unlink()
    mirror.finish(Silent)
    news = mirror.news()
    assert news is not None
    assert (news.error, news.is_first) == (None, False)
    assert content(mirror.target) == content(run)


def test_a_full_disk_keeps_the_copy_before(
    run: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No torn file, nothing left aside, and the error as the disk gives it."""
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror.finish(Silent)
    learn(run, "head", 2)

    def sync(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", sync)
    mirror.epoch_done("head", 2)
    mirror._thread.join()
    news = mirror.news()
    assert news is not None
    assert news.error == "no space left on device"
    refuse_unresumable(mirror.target)
    assert not list(mirror.target.rglob(".*.*"))


def test_another_runs_folder_is_left_alone(run: Path, mirror: Mirror) -> None:
    """Two machines may begin a run of one name in one second."""
    shutil.copytree(run, mirror.target)
    (mirror.target / "environment.json").write_text("of another machine")
    before = content(mirror.target)
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror._thread.join()
    news = mirror.news()
    assert news is not None
    assert "no copy of this run" in str(news.error)
    assert content(mirror.target) == before
    shutil.rmtree(mirror.target)


def test_a_copy_that_somebody_resumed_is_left_alone(run: Path, mirror: Mirror) -> None:
    """Whoever goes on in the mirror holds it, though the first process may still be alive."""
    shutil.copytree(run, mirror.target)
    lock = hold_lock(mirror.target)
    assert lock is not None
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror._thread.join()
    os.close(lock)
    news = mirror.news()
    assert news is not None
    assert "another process" in str(news.error)
    assert "history.jsonl" not in content(mirror.target)


def test_a_link_in_the_mirror_is_not_followed(run: Path, mirror: Mirror, tmp_path: Path) -> None:
    """The folder of a copy may be a stranger's, who would have files written elsewhere."""
    shutil.copytree(run, mirror.target)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (mirror.target / "checkpoints").symlink_to(elsewhere)
    learn(run, "head", 1)
    mirror.epoch_done("head", 1)
    mirror._thread.join()
    assert mirror.news() is not None
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "copied_at"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"every_epochs": 3}, [3, 6]),
        ({"every_minutes": 1}, [3, 6]),  # epochs of 25 seconds
        ({"every_minutes": 1, "every_epochs": 2}, [2, 4, 6]),
    ],
)
def test_copies_are_made_when_they_are_due(
    settings: dict[str, object], copied_at: list[int], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many epochs, or minutes at the end of an epoch, whichever comes first."""
    now = [0.0]
    monkeypatch.setattr(mirror_module.time, "monotonic", lambda: now[0])
    mirror = Mirror.of({"folder": "drive", **settings}, run)
    assert mirror is not None
    mirror._last_at = 0.0
    made: list[int] = []

    def copy() -> None:
        made.append(epoch)
        mirror._num_epochs, mirror._last_at = 0, now[0]

    monkeypatch.setattr(mirror, "copy", copy)
    for epoch in range(1, 7):
        now[0] += 25.0
        mirror.epoch_done("head", epoch)
    assert made == copied_at


def test_there_is_no_mirror_of_a_mirror(run: Path) -> None:
    """Where the run lies in its mirror already, or none is asked for."""
    assert Mirror.of({}, run) is None
    assert Mirror.of({"folder": None}, run) is None
    assert Mirror.of({"folder": str(run.parent)}, run) is None
