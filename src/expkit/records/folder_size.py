"""The size of a folder on a disk, and what tells that it may have changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MAX_FOLDERS = 200_000  # below one: a run has a dozen, a sweep those of its runs


@dataclass(frozen=True)
class FolderSize:
    """The bytes of all files in a folder; no link is followed."""

    num_bytes: int
    times: dict[str, int]  # when a file was last made or removed, by folder below it, in ns

    @classmethod
    def of(cls, path: str | Path) -> FolderSize:
        """Measure it; what cannot be read counts nothing."""
        num_bytes, times = 0, dict[str, int]()
        waiting = [""]
        while waiting and len(times) < MAX_FOLDERS:
            below = waiting.pop()
            try:
                times[below] = os.stat(f"{path}/{below}").st_mtime_ns  # noqa: PTH116, ten thousand
                with os.scandir(f"{path}/{below}") as found:
                    for each in found:
                        if each.is_dir(follow_symlinks=False):
                            waiting.append(f"{below}{each.name}/")
                        else:
                            num_bytes += each.stat(follow_symlinks=False).st_size
            except OSError:
                continue
        return cls(num_bytes, times)

    def is_of(self, path: str | Path) -> bool:
        """Tell whether no file was made or removed since it was measured."""
        try:
            return all(
                os.stat(f"{path}/{below}").st_mtime_ns == time  # noqa: PTH116
                for below, time in self.times.items()
            )
        except (OSError, ValueError):  # a path with a NUL in it
            return False
