"""Signals that end a run: taken where they fall, and asked for again where they were lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_received: list[int] = []


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Take SIGTERM, which schedulers send, for Ctrl-C."""

    def interrupt(signum: int, frame: object) -> None:
        _received.append(signum)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        _received.clear()


def raise_if_interrupted() -> None:
    """Python drops an exception that a signal raises within a `__del__`; here it comes again."""
    if _received:
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
