"""Sending a run to one logger: what it lacks, whole and once, however often that is begun."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from expkit.loggers.destination import Destination, Logger
from expkit.loggers.outgoing import Outgoing
from expkit.records.run.reader import Run
from expkit.records.run.sent import Sent, alone_in_sending, read_sent, write_sent
from expkit.sanitize import one_line

WATCHED = ("history.jsonl", "stages.jsonl", "summary.json")
ENDED = ("finished", "failed")


@dataclass
class Sending:
    """A run on its way to a logger, advanced as its folder grows.

    The logger is asked what it has, where it can tell: what was sent before a kill is not sent
    again, and a store that was deleted gets all. The record in the run's folder is for those that
    cannot tell, and for people.
    """

    path: Path
    name: str
    logger: Logger
    num_epochs: int = 0  # that were sent
    has_concluded: bool = False  # by this sending
    _destination: Destination | None = None
    _lock: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _is_locked: bool = False
    _seen: tuple[object, ...] | None = None

    def advance(self) -> bool:
        """Send what is new; false where another process is at it."""
        if not self._takes_lock():
            return False
        seen = tuple(self._signatures())
        if seen == self._seen:
            return True
        run = Outgoing(Run(self.path))
        _ = run.run.environment  # of a format that can be read
        destination = self._open(run)
        new = run.epochs_after(destination.epochs)
        if new:
            destination.send_epochs(new)
        conclusion = run.conclusion()
        if conclusion is not None and conclusion.digest != destination.conclusion:
            destination.conclude(conclusion)
            self.has_concluded = True
        destination.flush()
        self._write(error=None)
        self.num_epochs += len(new)
        self._seen = seen
        return True

    def fail(self, error: Exception) -> str:
        """Write down why it broke off, and begin anew the next time; return the reason."""
        self._drop()
        reason = reason_of(error)
        with contextlib.suppress(OSError):
            before = read_sent(self.path, self.name) or Sent(self.name, self.logger.place)
            write_sent(self.path, replace(before, error=reason))
        return reason

    def close(self) -> None:
        """Let go of the logger, with the run's status as it is now."""
        try:
            if self._destination is not None:
                self._destination.close(Run(self.path).status)
        finally:
            self._destination = None
            self._lock.close()
            self._is_locked = False

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will come: the run has ended, and its end was sent."""
        run = Run(self.path)
        return self._seen == tuple(self._signatures()) and run.has_pages

    def _open(self, run: Outgoing) -> Destination:
        if self._destination is None:
            sent = read_sent(self.path, self.name)
            is_there = sent is not None and sent.place == self.logger.place
            self._destination = self.logger.open(run, sent if is_there else None)
        return self._destination

    def _write(self, error: str | None) -> None:
        assert self._destination is not None, "it was just sent to"
        sent = Sent(
            self.name,
            self.logger.place,
            dict(self._destination.epochs),
            self._destination.conclusion,
            error,
        )
        if sent != read_sent(self.path, self.name):
            write_sent(self.path, sent)

    def _takes_lock(self) -> bool:
        if not self._is_locked:
            self._is_locked = self._lock.enter_context(alone_in_sending(self.path, self.name))
            if not self._is_locked:
                self._lock.close()
        return self._is_locked

    def _drop(self) -> None:
        destination, self._destination, self._seen = self._destination, None, None
        if destination is not None:
            with contextlib.suppress(Exception):
                destination.close("interrupted")

    def _signatures(self) -> Iterator[object]:
        """Change whenever there may be something new."""
        for name in WATCHED:
            with contextlib.suppress(FileNotFoundError):
                status = (self.path / name).lstat()
                yield name, status.st_ino, status.st_size, status.st_mtime_ns


def reason_of(error: Exception) -> str:
    """The first line of an error of somebody else's library, with its kind."""
    from expkit.errors import UserError

    if isinstance(error, UserError):
        return error.what
    lines = str(error).strip().splitlines()
    return one_line(f"{type(error).__name__}: {lines[0] if lines else ''}")[:300]
