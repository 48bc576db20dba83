"""Signals that end a run: taken where they fall, and asked for again where they were lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

_received: list[int] = []
_stop_files: list[Path] = []


@contextlib.contextmanager
def stop_on_signals(*signals: int) -> Iterator[list[int]]:
    """Take SIGTERM, which schedulers send, for Ctrl-C; or the signals named; those that came."""

    def interrupt(signum: int, frame: object) -> None:
        _received.append(signum)
        raise KeyboardInterrupt

    taken = signals or (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, interrupt) for each in taken}
    try:
        yield _received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        _received.clear()


@contextlib.contextmanager
def stop_where_asked(stop_file: Path) -> Iterator[None]:
    """End what runs within once this file is there, which is asked after each epoch."""
    _stop_files.append(stop_file)
    try:
        yield
    finally:
        _stop_files.remove(stop_file)


def raise_if_interrupted() -> None:
    """Python drops an exception that a signal raises within a `__del__`; here it comes again."""
    if _received or any(path.exists() for path in _stop_files):
        raise KeyboardInterrupt


@contextlib.contextmanager
def note_signals() -> Iterator[list[int]]:
    """Within `stop_on_signals`: let nothing be cut off; the signals that come are listed."""

    def note(signum: int, frame: object) -> None:
        _received.append(signum)

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield _received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
