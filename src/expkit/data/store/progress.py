"""Progress of reading data, reported to whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
SECONDS_BETWEEN_CALLS = 0.1

ProgressCallback = Callable[[str, int, int], None]
"""Called with the name of the work, how much of it is done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
    """Show nothing: the callback of a caller without a terminal."""


def with_progress(
    items: Iterable[Item], total: int, on_progress: ProgressCallback
) -> Iterator[Item]:
    """Yield the same items, and call the callback now and then, and at the end."""
    called_at = 0.0
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - called_at > SECONDS_BETWEEN_CALLS or done == total:
            called_at = time.monotonic()
            on_progress("decoding", done, total)
