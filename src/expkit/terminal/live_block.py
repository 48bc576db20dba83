"""A few lines at the foot of a terminal, drawn over themselves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TextIO

from expkit.sanitize import one_line, raw


class TerminalBlock:
    """Redraws in place; what is printed between `erase` and `draw` stays above it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = raw(stream)
        self._drawn: list[int] = []  # the lengths of the lines that stand there

    @property
    def size(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return os.terminal_size((80, 24))

    def draw(self, lines: Sequence[str]) -> None:
        """A line too long would wrap, and one too many would scroll: both are cut."""
        columns, rows = self.size
        cut = [one_line(line)[: max(columns - 1, 1)] for line in lines[: max(rows - 1, 1)]]
        self._write(self._erasure() + "\n".join(cut))
        self._drawn = [len(line) for line in cut]

    def erase(self) -> None:
        self._write(self._erasure())
        self._drawn = []

    def _erasure(self) -> str:
        """Up to the first line and all below cleared; a terminal made narrower has wrapped some."""
        if not self._drawn:
            return ""
        columns = max(self.size.columns, 1)
        height = sum(max(1, -(-length // columns)) for length in self._drawn)
        return "\r" + (f"\x1b[{height - 1}A" if height > 1 else "") + "\x1b[J"

    def _write(self, text: str) -> None:
        """A sweep outlives its reader."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()
