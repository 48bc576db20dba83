"""The index of a list of runs: lines that hold as long as nothing in their folders has changed."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from expkit.errors import UserError
from expkit.records.files import Record, read_lines, write_aside
from expkit.records.folder_size import FolderSize
from expkit.records.run.annotations import FILE as ANNOTATIONS
from expkit.records.run.annotations import Note
from expkit.records.run.writer import is_locked
from expkit.records.typed_values import Count, Finite, Seconds, check_shape
from expkit.reports.runs.entries import ENDED, UNREADABLE, Kind, RunEntry

FILE = ".runs_index.jsonl"
VERSION = 1  # of the lines: raised when a line would be made otherwise of the same records
MIN_KEPT = 50  # runs: fewer are read as fast
SETTLED_SECONDS = 2.0  # a file system's clock is coarse: what is younger may change unseen
GROWING = ("digest.json", ANNOTATIONS, "stages.jsonl", "history.jsonl")  # in place, or written anew
KEPT = (
    *("name", "kind", "status", "seconds", "objective", "value", "interval", "verdict"),
    *("findings", "remark", "tags", "num_bytes"),
)


class KeptEntry(TypedDict):
    """A line as the index has it."""

    name: str
    kind: Kind
    status: str
    started: Finite | None
    seconds: Seconds | None
    objective: str
    value: Finite | None
    interval: tuple[Finite, Finite] | None
    verdict: str
    findings: list[str]
    remark: str
    tags: list[str]
    notes: list[tuple[str, str]]
    num_bytes: Count
    stamp: list[Count]
    times: dict[str, Count]


@dataclass
class Index:
    """The lines of one folder; those that nobody asked for are gone at the next writing."""

    path: Path
    lines: dict[str, Record]
    kept: dict[str, Record] = field(default_factory=dict)
    num_new: int = 0

    @classmethod
    def read(cls, folder: Path) -> Index:
        """Read it; one that is damaged, of another version or not there is empty."""
        path = folder / FILE
        try:
            version, *lines = read_lines(path) or [{}]
        except (UserError, OSError):
            version, lines = {}, []
        if version.get("version") != VERSION:
            lines = []
        return cls(path, {str(line.get("name")): line for line in lines})

    def find(self, path: Path, name: str) -> RunEntry | None:
        """Return the line of a folder, if it still holds."""
        line = self.lines.get(name)
        if line is None or not _is_sound(line):
            return None
        size = FolderSize(line["num_bytes"], line["times"])
        if not size.is_of(path) or _stamp(path) != line["stamp"]:
            return None
        if line["status"] not in ENDED and is_locked(path):
            return None
        self.kept[name] = line
        return _entry(path, line)

    def keep(self, entry: RunEntry, size: FolderSize) -> None:
        """Remember a line, unless it may change in a way that is not seen."""
        stamp = _stamp(entry.path)
        newest = max([*size.times.values(), *stamp[::2]], default=0)
        is_settled = time.time() - newest / 1e9 > SETTLED_SECONDS
        if is_settled and entry.status not in ("running", UNREADABLE):
            self.kept[entry.name] = _line(entry, size, stamp)
            self.num_new += 1

    def write(self) -> None:
        """Write it where it has changed, and where one can write."""
        if len(self.kept) < MIN_KEPT or not self.num_new:
            return
        # those inside of a sweep stay while nobody looks into it
        beside = {
            name: line
            for name, line in self.lines.items()
            if "/" in name and name.partition("/")[0] in self.kept
        }
        lines = [{"version": VERSION}, *{**beside, **self.kept}.values()]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        with contextlib.suppress(OSError, UserError):
            write_aside(self.path, text.encode(errors="backslashreplace"))


def _stamp(path: Path) -> list[int]:
    """When each growing file was last written, and its size; zeros where it is not there."""
    stamp = []
    for name in GROWING:
        try:
            found = os.stat(f"{path}/{name}")  # noqa: PTH116, of ten thousand
            stamp += [found.st_mtime_ns, found.st_size]
        except OSError:
            stamp += [0, 0]
    return stamp


def _is_sound(line: Record) -> bool:
    try:
        check_shape(line, KeptEntry)
    except ValueError:
        return False
    return not any(".." in below for below in line["times"])


def _line(entry: RunEntry, size: FolderSize, stamp: list[int]) -> Record:
    line = {name: getattr(entry, name) for name in KEPT}
    started = None if entry.started is None else entry.started.timestamp()
    notes = [(note.at, note.text) for note in entry.notes]
    return {**line, "started": started, "notes": notes, "times": size.times, "stamp": stamp}


def _entry(path: Path, line: Record) -> RunEntry:
    started = line["started"]
    return RunEntry(
        path,
        **{name: line[name] for name in KEPT},
        started=None if started is None else datetime.datetime.fromtimestamp(started).astimezone(),
        notes=[Note(*note) for note in line["notes"]],
    )
