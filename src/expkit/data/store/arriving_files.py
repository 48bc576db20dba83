"""Image files that appear in a folder, each once it stands still.

A folder of many files costs little: where nothing was added to it and nothing is being written, it
is not read again, and the files that are done are looked at anew only now and then.
"""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from expkit.data.store.folder_tree import image_suffixes

STILL_SECONDS = 2.0  # for which a file has not changed that is taken for whole
BROKEN_SECONDS = 10.0  # and that is taken for broken where it cannot be read
FEW = 1000  # files that are all looked at each time
AGAIN_SECONDS = 30.0  # after which all of many files are
CLOCK_SECONDS = 2.0  # within which two changes of a folder may have one time


@dataclass(frozen=True)
class FileState:
    """The size and the time of a file: another file of its name has others."""

    size: int
    modified_ns: int


@dataclass
class Arrival:
    """A file that is not done, as it was seen last."""

    path: str
    state: FileState
    since: float  # when it was first seen so
    is_ready: bool = False  # to be read
    is_still: bool = False  # for so long that it is broken where it cannot be read
    was_unreadable: bool = False

    def is_gone(self) -> bool:
        return not Path(self.path).exists()

    def is_unchanged(self) -> bool:
        """Tell whether the file is still the one that was seen, or is gone since."""
        try:
            return _state_of(Path(self.path).stat()) == self.state
        except OSError:
            return True


@dataclass
class _Folder:
    """A folder as it was when it was read."""

    modified_ns: int = -1
    read_at: float = -math.inf
    all_at: float = -math.inf  # when all of its files were looked at
    below: list[str] = field(default_factory=list)
    arriving: dict[str, Arrival] = field(default_factory=dict)

    def is_unchanged(self, modified_ns: int) -> bool:
        """Tell whether nothing can have been added, and nothing is waited for."""
        is_old = self.read_at - modified_ns / 1e9 > CLOCK_SECONDS
        return is_old and modified_ns == self.modified_ns and not self.arriving


class ArrivingFiles:
    """The images below a folder that are not done; hidden files and linked folders are passed by.

    A file is known again by its path, size and time. One whose content changed so recently that it
    may still be written is waited for, unless its name or attributes changed after its content, as
    they do where it is renamed into place.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.done: dict[str, FileState] = {}
        self.unreadable: dict[str, str] = {}  # folders that cannot be read now, with the reason
        self._folders: dict[str, _Folder] = {}
        self._suffixes = tuple(image_suffixes())

    def look(self, now: float) -> list[Arrival]:
        """The files that can be read now, the oldest first; `now` is in seconds since 1970."""
        self.unreadable = {}
        ready: list[Arrival] = []
        folders = [self.root]
        while folders:
            path = folders.pop()
            try:
                folder = self._read(path, now)
            except OSError as error:
                if path == self.root or not isinstance(error, FileNotFoundError):
                    self.unreadable[path] = (error.strerror or str(error)).lower()
                continue
            folders += folder.below
            ready += (each for each in folder.arriving.values() if each.is_ready)
        return sorted(ready, key=lambda each: (each.state.modified_ns, each.path))

    def finish(self, arrival: Arrival) -> None:
        """Take a file for done, until it is another one."""
        self.done[arrival.path] = arrival.state
        self._folders[str(Path(arrival.path).parent)].arriving.pop(arrival.path, None)

    @property
    def num_arriving(self) -> int:
        """The number of files that are waited for."""
        return sum(len(folder.arriving) for folder in self._folders.values())

    def _read(self, path: str, now: float) -> _Folder:
        modified_ns = Path(path).stat().st_mtime_ns
        folder = self._folders.setdefault(path, _Folder())
        looks_at_all = len(self.done) <= FEW or now - folder.all_at >= AGAIN_SECONDS
        if not looks_at_all and folder.is_unchanged(modified_ns):
            return folder
        below: list[str] = []
        arriving: dict[str, Arrival] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                before = folder.arriving.get(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif looks_at_all or before is not None or entry.path not in self.done:
                    arrival = self._meet(entry, before, now)
                    if arrival is not None:
                        arriving[entry.path] = arrival
        all_at = now if looks_at_all else folder.all_at
        self._folders[path] = _Folder(modified_ns, now, all_at, below, arriving)
        return self._folders[path]

    def _meet(self, entry: os.DirEntry[str], before: Arrival | None, now: float) -> Arrival | None:
        """Return an image that is not done, with what is known of it by now."""
        if not entry.name.lower().endswith(self._suffixes):
            return None
        try:
            seen = entry.stat()
        except OSError:  # gone, or a link to nowhere
            return None
        state = _state_of(seen)
        if not stat.S_ISREG(seen.st_mode) or self.done.get(entry.path) == state:
            return None
        is_same = before is not None and before.state == state
        arrival = before if before is not None and is_same else Arrival(entry.path, state, now)
        waited = now - arrival.since
        is_whole = seen.st_ctime_ns > seen.st_mtime_ns or now - seen.st_mtime >= STILL_SECONDS
        arrival.is_still = waited >= BROKEN_SECONDS
        arrival.is_ready = (is_whole or waited >= STILL_SECONDS) and (
            arrival.is_still or not arrival.was_unreadable
        )
        return arrival


def _state_of(seen: os.stat_result) -> FileState:
    return FileState(seen.st_size, seen.st_mtime_ns)
