"""The run folder as its one writer sees it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.errors import UserError
from expkit.metrics.predictions import Predictions
from expkit.records.files import append_line, read_lines, write_aside, write_lines
from expkit.records.run.ensemble import FOLDER as MEMBERS
from expkit.records.run.ensemble import predictions_path
from expkit.records.run.metadata import StageResult
from expkit.records.run.predictions import PLAIN, write_predictions
from expkit.records.run.schema import is_epoch, is_signal, is_told
from expkit.records.safe_open import make_inside, open_regular
from expkit.sanitize import clean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


# a file that was being written aside, by `tempfile`: the dot, the file's name, eight letters
LEFTOVER = re.compile(r"\.(.+)\.[a-z0-9_]{8}")
WRITTEN_BELOW = ("checkpoints", "snapshots", "samples", MEMBERS)
WRITTEN_HERE = frozenset(
    {
        *("history.jsonl", "signals.jsonl", "findings.jsonl", "stages.jsonl"),
        *("predictions.csv", PLAIN),
        *("labels.json", "ensemble.json"),
    }
)
ASKED_SECONDS = 0.2  # a reader that asks whether a lock is held, holds it for an instant


def name_folder(name: str, now: float, environ: Mapping[str, str]) -> str:
    """YYYYMMDD_HHMMSS[_jSLURMJOBID]_name; an array job's id is its array's with the task's."""
    stamp = time.strftime("%Y%m%d_%H%M%S", time.localtime(now))
    job = environ.get("SLURM_JOB_ID")
    if "SLURM_ARRAY_JOB_ID" in environ:
        job = f"{environ['SLURM_ARRAY_JOB_ID']}_{environ.get('SLURM_ARRAY_TASK_ID', '0')}"
    job = re.sub(r"[^\w.-]", "-", job or "")
    return "_".join([stamp, *([f"j{job}"] if job else []), name])


@dataclass(frozen=True)
class RunFolder:
    """Writes a run down as it happens; everything that reads runs uses `Run` instead."""

    path: Path
    lock: int  # a held file lock: it falls with the process, however that ends

    @classmethod
    def create(cls, parent: Path, name: str, files: Mapping[str, str | bytes]) -> RunFolder:
        """Make a folder that is there with these files or not at all, and that nobody else has."""
        with explain_disk_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=".new_", dir=parent))
            try:
                lock = hold_lock(aside)  # at once: what nobody holds, a resumed sweep clears away
                assert lock is not None, "nobody knows this folder yet"
                aside.chmod(0o755)
                for file, content in files.items():
                    target = aside / file
                    target.parent.mkdir(parents=True, exist_ok=True)
                    write_aside(target, content.encode() if isinstance(content, str) else content)
                return cls(_claim_name(aside, parent / name), lock)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """Go on writing into a run that was cut off."""
        with explain_disk_errors(path):
            lock = hold_lock(path)
        if lock is None:
            raise UserError(
                f"'{path.name}' is still running in another process",
                where=str(path),
                fix=f"expkit show {shlex.quote(str(path))}   "
                "(watch it, or stop that process first)",
            )
        clear_leftovers(path)
        stages = path / "stages.jsonl"
        if stages.exists():
            write_lines(stages, read_lines(stages))  # a torn last line would swallow the next one
        return cls(path, lock)

    def close(self) -> None:
        """Let go of the run."""
        os.close(self.lock)

    def write_predictions(
        self, splits: Sequence[Predictions], name: str = "predictions.csv"
    ) -> None:
        """Write every split's predictions into one file."""
        write_predictions(self.path / name, splits)

    def write_member(self, place: int, splits: Sequence[Predictions]) -> None:
        """Keep what a member of an ensemble predicted, as its own folder may be gone one day."""
        path = predictions_path(self.path, place)
        make_inside(path.parent, self.path)
        write_predictions(path, splits)

    def write_snapshot(
        self, stage: str, epoch: int, arrays: Mapping[str, npt.NDArray[np.generic]]
    ) -> None:
        """Write the predictions of an epoch in the middle of training, for its plots."""
        self._write_arrays(Path("snapshots") / stage / f"epoch_{epoch:04d}.npz", arrays)

    def write_samples(self, name: str, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Images of a few samples, so that a page can show them without the data."""
        self._write_arrays(Path("samples") / f"{name}.npz", arrays)

    def _write_arrays(self, place: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        import io

        import numpy as np

        path = self.path / place
        make_inside(path.parent, self.path)
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        write_aside(path, stream.getvalue(), self.path)

    def append_history(self, record: Mapping[str, Any]) -> None:
        append_line(self.path / "history.jsonl", json.dumps(record))

    def append_signal(self, record: Mapping[str, Any]) -> None:
        append_line(self.path / "signals.jsonl", json.dumps(record))

    def append_finding(self, stage: str, epoch: int, finding: Mapping[str, Any]) -> None:
        """Keep a finding as it is told: while this stage runs, after so many lines of it."""
        record = {"stage": stage, "epoch": epoch, "at": time.time(), "finding": finding}
        append_line(self.path / "findings.jsonl", json.dumps(record))

    def append_stage(self, result: StageResult) -> None:
        append_line(self.path / "stages.jsonl", json.dumps(result.to_json()))

    def log(self, text: str) -> None:
        """Keep what was said, with the time; what a terminal would obey is written out."""
        for line in clean(text).splitlines():
            append_line(self.path / "log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}")

    def forget_after(self, stage: str, epoch: int) -> None:
        """Drop the lines of a stage that its checkpoint does not know, before it goes on."""
        checks = {"history": is_epoch, "signals": is_signal, "findings": is_told}
        for name, is_sound in checks.items():
            path = self.path / f"{name}.jsonl"
            lines = read_lines(path, ("stage", "epoch"), is_sound)
            kept = [r for r in lines if r["stage"] != stage or r["epoch"] <= epoch]
            if path.exists() or kept:
                write_lines(path, kept)


def clear_leftovers(path: Path) -> None:
    """Remove what a killed writer left beside the files that only the run's writer writes.

    To be called while holding the run's lock: nobody is in the middle of one of them.
    """
    places = [path, *(path / name for name in WRITTEN_BELOW), *_stage_folders(path)]
    for place in places:
        if place.is_dir() and not place.is_symlink():
            for each in place.iterdir():
                found = LEFTOVER.fullmatch(each.name)
                is_ours = found and (place != path or found[1] in WRITTEN_HERE)
                if is_ours and each.is_file() and not each.is_symlink():
                    each.unlink()


def _stage_folders(path: Path) -> list[Path]:
    """The folders of stages below those that have one for each."""
    parents = [path / name for name in WRITTEN_BELOW]
    return [each for parent in parents if not parent.is_symlink() for each in parent.glob("*/")]


def hold_lock(path: Path) -> int | None:
    """A descriptor that holds the folder's lock, or None where another process has it."""
    descriptor = open_regular(path / ".lock", os.O_RDWR | os.O_CREAT)
    if takes_lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def takes_lock(descriptor: int) -> bool:
    """Take the lock of an open file; tell whether that went, as it does if nobody else has it."""
    deadline = time.monotonic() + ASKED_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return True  # a file system without locks: nothing can be known there
            if time.monotonic() >= deadline:
                return False
            time.sleep(ASKED_SECONDS / 20)
        else:
            return True


def hold_file(path: Path, root: Path | None = None) -> int:
    """A descriptor that holds this file's lock, once nobody else does."""
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT, root)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def is_locked(path: Path) -> bool:
    """Tell whether a process is writing into this run folder now."""
    return is_file_locked(path / ".lock")


def is_file_locked(path: Path) -> bool:
    try:
        descriptor = open_regular(path, os.O_RDONLY)
    except (OSError, UserError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(descriptor)
    return False


def _claim_name(aside: Path, wanted: Path) -> Path:
    """Rename to the first free name; renaming onto a folder with files fails, so none is shared."""
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}_{number}")
        try:
            aside.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            number += 1
        else:
            return path


def refuse_unwritable(folder: Path, key: str) -> None:
    """Find out now that nothing can be written into a folder, or that it cannot be made."""
    with explain_disk_errors(folder, key):
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryDirectory(prefix=".new_", dir=nearest):
            pass


@contextlib.contextmanager
def explain_disk_errors(path: Path, key: str = "output_dir=") -> Iterator[None]:
    """Say in a user's words that a folder cannot be written, and what chooses another, if any."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to '{path}': {(error.strerror or str(error)).lower()}",
            where=f"{key}{path}",
            fix=f"free some space, or choose a folder that can be written: {key}FOLDER"
            if key
            else "free some space, or let the folder be written to",
        ) from error
