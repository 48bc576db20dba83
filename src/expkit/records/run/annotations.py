"""Tags and notes of a run or a sweep: what a person says of it, which no number depends on."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from expkit.records.files import Record, append_line, read_lines
from expkit.records.typed_values import check_shape
from expkit.tags import is_tag

FILE = "annotations.jsonl"


@dataclass(frozen=True)
class Note:
    """A dated note."""

    at: str  # with the time zone
    text: str

    @property
    def day(self) -> str:
        """The date and the time of day, without seconds."""
        return self.at[:16].replace("T", " ")


@dataclass(frozen=True)
class Annotations:
    """The tags in the order in which they were given, and the notes, oldest first."""

    tags: Sequence[str] = ()
    notes: Sequence[Note] = ()


def read_annotations(path: Path, first_tags: object = ()) -> Annotations:
    """Return those of a folder; `first_tags` is what its config has under `tags`."""
    given = first_tags if isinstance(first_tags, list | tuple) else ()
    tags = dict.fromkeys(tag for tag in given if is_tag(tag))
    notes = []
    for line in read_lines(path / FILE, ("at",), _is_annotation):
        if "note" in line:
            notes.append(Note(line["at"], line["note"]))
        for tag in line.get("remove", ()):
            tags.pop(tag, None)
        tags.update(dict.fromkeys(line.get("add", ())))
    return Annotations(tuple(tags), tuple(notes))


def add_note(path: Path, text: str) -> Note:
    """Append a note: a line is there or not at all, and none is written over."""
    note = Note(_now(), text)
    append_line(path / FILE, json.dumps({"at": note.at, "note": text}))
    return note


def change_tags(path: Path, add: Collection[str], remove: Collection[str]) -> None:
    """Append which tags come and go."""
    line = {"at": _now(), "add": list(add), "remove": list(remove)}
    append_line(path / FILE, json.dumps(line))


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _is_annotation(line: Record) -> bool:
    """Tell whether a line is a note, or a change of tags."""
    try:
        for key in ("at", "note"):
            check_shape(line.get(key, ""), str)
        for key in ("add", "remove"):
            check_shape(line.get(key, []), list[str])
    except ValueError:
        return False
    return all(is_tag(tag) for tag in line.get("add", ()))
