"""Progress of reading data, reported to whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
WATCH_SECONDS = 0.1

Watch = Callable[[str, int, int], None]
"""Called with the name of the work, how much of it is done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
    """Show nothing: the watch of a caller without a terminal."""


def tell_progress(items: Iterable[Item], total: int, watch: Watch) -> Iterator[Item]:
    """Yield the same items, and call the watch now and then, and at the end."""
    told_at = 0.0
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - told_at > WATCH_SECONDS or done == total:
            told_at = time.monotonic()
            watch("decoding", done, total)
