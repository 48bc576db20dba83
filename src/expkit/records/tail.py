"""A file of lines that another process appends to, or writes anew."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from expkit.records.safe_open import open_regular

MAX_UNREAD = 65_536  # bytes that are read from the end of a file that has gained more
MAX_READ = 1 << 24  # bytes that are read at once where no line is passed over


@dataclass
class Tail:
    """Such a file, looked at again and again."""

    path: Path
    root: Path | None = None  # the folder that it must lie in
    is_whole: bool = False  # no line is passed over: ask until there are no more
    offset: int = 0
    number: int = 0  # of the file itself, in its file system
    is_anew: bool = False  # the lines gained last are the first of another file

    def new_lines(self) -> list[str]:
        """Those that it gained since it was last asked; without a last one not yet ended."""
        self.is_anew = False
        try:
            with os.fdopen(open_regular(self.path, os.O_RDONLY, self.root), "rb") as stream:
                state = os.fstat(stream.fileno())
                number, size = state.st_ino, state.st_size
                if number != self.number or size < self.offset:
                    self.offset = 0  # a resumed run writes its history anew
                    self.is_anew = True
                self.number = number
                start = self.offset if self.is_whole else max(self.offset, size - MAX_UNREAD)
                stream.seek(start)
                data = stream.read(MAX_READ if self.is_whole else -1)
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        lines = data[:end].decode("utf-8", "replace").split("\n")[:-1]
        torn = start > self.offset
        self.offset = start + end
        return lines[1:] if torn else lines
