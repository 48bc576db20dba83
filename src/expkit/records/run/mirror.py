"""A run's second copy in another folder, from which it is resumed where the first is gone.

A copy is whole at every instant: each file is written aside and renamed, and in an order in which a
run that was cut off between two of them can be resumed: the history before the checkpoint whose
epochs it must hold, the checkpoints before the line that says that their stage has ended.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.records.files import copy_aside
from expkit.records.run.writer import RunFolder, hold_lock
from expkit.records.safe_open import make_inside, open_regular

FIRST = ("config.yaml", "overrides.yaml", "environment.json", "dataset.json")
STAGES_LAST = ("stages.jsonl", "digest.json", "summary.json")
OF_CHECKPOINTS = ("digests.jsonl", "best.safetensors", "last.safetensors")
SILENCE_SECONDS, PATIENCE_SECONDS = 2.0, 60.0  # that the end of a run waits for a copy


@dataclass(frozen=True)
class Moment:
    """The epoch of a stage after which a copy was made."""

    stage: str = "start"
    epoch: int = 0


@dataclass(frozen=True)
class News:
    """A change for the worse or the better: why the mirror cannot be written, or that it can."""

    folder: str
    moment: Moment
    error: str | None
    is_first: bool

    def to_signal(self) -> dict[str, Any]:
        """Return the line of signals.jsonl."""
        where = {"stage": self.moment.stage, "epoch": self.moment.epoch}
        return {**where, "kind": "mirror", "folder": self.folder, "error": self.error}


@dataclass(frozen=True)
class _Source:
    """A file of the run as it is now: one that is replaced later is read by its descriptor."""

    place: str  # below the run's folder
    signature: tuple[int, int, int]
    descriptor: int | None


@dataclass
class Mirror:
    """Copies what has changed of a run's folder, in a thread that the training does not wait for.

    While one copy is under way, the next is put off to a later epoch. After a failure the next one
    begins anew: the folder may be another one by then.
    """

    run: Path
    target: Path
    every_epochs: int | None = None
    every_seconds: float | None = None
    _done: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # as it was copied
    _lock: int | None = None
    _thread: threading.Thread | None = None
    _num_epochs: int = 0  # since the last copy
    _last_at: float = field(default_factory=time.monotonic)
    _moment: Moment = Moment()
    _error: str | None = None
    _told: str | None = None
    _has_failed: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any], run: Path) -> Mirror | None:
        """Return the mirror that a config asks for; None where it asks for none, or is the run."""
        if settings.get("folder") is None:
            return None
        target = place_in(settings["folder"], run)
        if target.resolve() == run.resolve():
            return None
        minutes = settings.get("every_minutes")
        seconds = None if minutes is None else 60.0 * minutes
        return cls(run, target, settings.get("every_epochs"), seconds)

    def epoch_done(self, stage: str, epoch: int) -> None:
        """Begin a copy where one is due."""
        self._num_epochs += 1
        self._moment = Moment(stage, epoch)
        if self._is_due():
            self.copy()

    def _is_due(self) -> bool:
        if self.every_epochs is None and self.every_seconds is None:
            return True
        is_late = (
            self.every_seconds is not None
            and time.monotonic() - self._last_at >= self.every_seconds
        )
        return is_late or (self.every_epochs is not None and self._num_epochs >= self.every_epochs)

    def copy(self) -> None:
        """Begin a copy of the run as it is now, unless another is still under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        self._num_epochs, self._last_at = 0, time.monotonic()
        self._thread = threading.Thread(
            target=self._work, args=(list(self._changed()),), daemon=True
        )
        self._thread.start()

    def finish(self, say: Callable[[str], None]) -> None:
        """Copy what is recorded by now, and wait for that; Ctrl-C ends the waiting."""
        with contextlib.suppress(KeyboardInterrupt):
            self._wait(say)  # for a copy under way
            self.copy()
            self._wait(say)

    def _wait(self, say: Callable[[str], None]) -> None:
        if self._thread is None:
            return
        self._thread.join(SILENCE_SECONDS)
        if self._thread.is_alive():
            say(f"the mirror is being written: {self.target}")
            self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._error = f"a copy takes longer than {PATIENCE_SECONDS:.0f} seconds"

    def news(self) -> News | None:
        """Return what has changed for the worse or the better since it was last asked."""
        error = self._error
        if (error is None) == (self._told is None):
            return None
        is_first, self._has_failed = not self._has_failed, True
        self._told = error
        return News(str(self.target), self._moment, error, is_first)

    def close(self) -> None:
        """Let go of the copy; a thread that hangs ends with the process."""
        if self._thread is None or not self._thread.is_alive():
            self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _changed(self) -> Iterator[_Source]:
        """The files that differ from their copies, as they are now, in the order of copying.

        What a checkpoint must agree with is opened at once: the next epoch replaces it.
        """
        found = []
        for folder, folders, names in os.walk(self.run):
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = Path(folder).relative_to(self.run)
            # the lock and what is being written aside are nobody else's
            found += [(below / name).as_posix() for name in names if not name.startswith(".")]
        for place in sorted(found, key=lambda place: (_rank(place), place)):
            path = self.run / place
            status = path.lstat()
            signature = status.st_ino, status.st_mtime_ns, status.st_size
            if self._done.get(place) == signature:
                continue
            is_replaced = _rank(place) > 0 or place.endswith(".jsonl")
            descriptor = open_regular(path, os.O_RDONLY) if is_replaced else None
            yield _Source(place, signature, descriptor)

    def _work(self, sources: list[_Source]) -> None:
        try:
            self._claim()
            for source in sources:
                self._write(source)
        except (OSError, UserError) as error:
            self._done.clear()
            self._let_go()
            self._error = _reason(error)
        else:
            self._error = None
        finally:
            for source in sources:
                if source.descriptor is not None:
                    os.close(source.descriptor)

    def _claim(self) -> None:
        """Make the run's folder in the mirror, or take up the copy of this run that is there."""
        if self._lock is not None:
            return
        if not os.path.lexists(self.target):
            files = {name: (self.run / name).read_bytes() for name in FIRST}
            folder = RunFolder.create(self.target.parent, self.target.name, files)
            self.target, self._lock = folder.path, folder.lock
            return
        if not is_copy(self.target, self.run):
            raise UserError(f"'{self.target}' is there already, and is no copy of this run")
        self._lock = hold_lock(self.target)
        if self._lock is None:
            raise UserError(f"'{self.target}' was resumed by another process")

    def _write(self, source: _Source) -> None:
        path = self.target / source.place
        make_inside(path.parent, self.target)
        try:
            descriptor = (
                open_regular(self.run / source.place, os.O_RDONLY)
                if source.descriptor is None
                else source.descriptor
            )
        except FileNotFoundError:  # a page that was drawn anew meanwhile
            return
        try:
            copy_aside(descriptor, source.signature[2], path, self.target)
        finally:
            if source.descriptor is None:
                os.close(descriptor)
        self._done[source.place] = source.signature


def place_in(folder: str, run: Path) -> Path:
    """Return where a run's copy lies in a mirror: under its name, and under that of its sweep."""
    parent = run.absolute().parent
    is_of_sweep = (parent / "sweep.json").exists()
    return Path(folder).absolute() / (parent.name if is_of_sweep else "") / run.name


def is_copy(folder: Path, run: Path) -> bool:
    """Tell whether a folder holds a copy of this very run: when it began stands in its records."""
    if folder.is_symlink():
        return False
    with contextlib.suppress(OSError, UserError):
        return all(_content(folder / name) == _content(run / name) for name in FIRST[:3])
    return False


def _content(path: Path) -> bytes:
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as stream:
        return stream.read()


def _rank(place: str) -> int:
    """Return where a file stands in the order of copying."""
    folder, _, name = place.rpartition("/")
    if folder.startswith("checkpoints"):
        return 1 + (OF_CHECKPOINTS.index(name) if name in OF_CHECKPOINTS else 0)
    return 4 + STAGES_LAST.index(place) if place in STAGES_LAST else 0


def _reason(error: OSError | UserError) -> str:
    if isinstance(error, UserError):
        return error.what
    return (error.strerror or str(error)).lower()
