"""Tags and notes of a run or a sweep: what a person says of it, which no number depends on."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import Record, append_line, read_lines
from expkit.records.typed_values import check_shape
from expkit.sanitize import one_line

FILE = "annotations.jsonl"
TAG = re.compile(r"[^\W_][\w.:/@-]{0,59}")  # a word that needs no quotes in a shell
MAX_NOTE = 10_000  # characters


@dataclass(frozen=True)
class Note:
    """A dated note."""

    at: str  # with the time zone
    text: str


@dataclass(frozen=True)
class Annotations:
    """The tags in the order in which they were given, and the notes, oldest first."""

    tags: Sequence[str] = ()
    notes: Sequence[Note] = ()


def read_annotations(path: Path, first_tags: Iterable[object] = ()) -> Annotations:
    """Those of a folder; `first_tags` are those of its config, with which it began."""
    tags = dict.fromkeys(tag for tag in first_tags if isinstance(tag, str) and is_tag(tag))
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


def is_tag(text: str) -> bool:
    """Tell whether a text can be a tag."""
    return TAG.fullmatch(text) is not None


def refuse_odd_tags(tags: Iterable[object], where: str) -> None:
    """Refuse what is no tag."""
    for tag in tags:
        if not isinstance(tag, str) or not is_tag(tag):
            raise UserError(
                f"'{one_line(str(tag))}' is no tag",
                where=where,
                allowed="letters, digits and _ . : / @ - in it, beginning with a letter or a "
                "digit, at most 60",
            )


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _is_annotation(line: Record) -> bool:
    """Tell whether a line is a note, or a change of tags."""
    try:
        check_shape(line["at"], str)
        check_shape(line.get("note", ""), str)
        for key in ("add", "remove"):
            check_shape(line.get(key, []), list[str])
    except ValueError:
        return False
    return all(is_tag(tag) for tag in line.get("add", ()))
