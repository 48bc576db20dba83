"""Random faults in one file of a run, as disks, editors and strangers make them.

Each is drawn from a seed, so that what was found can be had again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hostile_arena import remove

DIGITS = "9" * 400
# what may stand where a value was
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1, 7, 10**9, 2**62, 2**63, 10**400, -(10**400)),
    *(0.5, -0.0, 1e-300, 1e300, float("nan"), float("inf"), float("-inf")),
    *("", "x", "7", "nan", "\x1b[2J", "\u202e", "../../beside", "/dev/zero", "a\0b", "${name}"),
    *([], [1], [None], ["x"], [[[]]], {}, {"a": 1}, {"": None}, {"a": {"b": [1]}}),
)
CELLS = (
    *("", "nan", "inf", "-inf", "1e400", "1e39", "-1", "0.5", "2", "7", DIGITS, f"0.{DIGITS}"),
    *("x", "True", "cat", "=1+1", "'", '"', "\x1b[2J", "a\0b", "\n", ",", "test", "train"),
)


class Mutation:
    """One fault in one file of a folder, told in words."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        likely = [path for path in files if path.suffix not in (".png", ".md", ".txt")]
        self.path = self.random.choice(files if self.random.random() < 0.1 else likely)
        self.folder = folder

    def make(self) -> str:
        """Spoil the file; the words for it."""
        kinds: list[Callable[[], str]] = [self._bytes, self._cut, self._other_kind]
        by_suffix = {".json": self._json, ".jsonl": self._line, ".yaml": self._yaml}
        by_suffix[".csv"] = self._cell
        if own := by_suffix.get(self.path.suffix):
            kinds += [own] * 7  # a sound file that says what cannot be finds more than a torn one
        name = self.path.relative_to(self.folder)
        return f"{name}: {self.random.choice(kinds)()}"

    def _bytes(self) -> str:
        data = bytearray(self.path.read_bytes())
        most = self.random.choice((1, 1, 8))
        places = [self.random.randrange(len(data)) for _ in range(most if data else 0)]
        for place in places:
            data[place] ^= 1 << self.random.randrange(8)
        self.path.write_bytes(data)
        return f"bits flipped at {places}"

    def _cut(self) -> str:
        data = self.path.read_bytes()
        length = self.random.randrange(len(data) + 1)
        self.path.write_bytes(data[:length])
        return f"cut off at {length}"

    def _other_kind(self) -> str:
        remove(self.path)
        kind = self.random.choice(("folder", "pipe", "dangling link", "link in a circle", "gone"))
        if kind == "folder":
            self.path.mkdir()
        elif kind == "pipe":
            os.mkfifo(self.path)
        elif kind == "dangling link":
            self.path.symlink_to("not_there")
        elif kind == "link in a circle":
            self.path.symlink_to(self.path.name)
        return f"is {kind} now"

    def _json(self) -> str:
        record = json.loads(self.path.read_text())
        words = self._change(record)
        self.path.write_text(json.dumps(record))
        return words

    def _yaml(self) -> str:
        record = yaml.safe_load(self.path.read_text())
        words = self._change(record) if record else "left"
        self.path.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True))
        return words

    def _line(self) -> str:
        lines = self.path.read_text().splitlines()
        number = self.random.randrange(len(lines))
        record = json.loads(lines[number])
        words = self._change(record)
        lines[number] = json.dumps(record)
        self.path.write_text("\n".join(lines) + "\n")
        return f"line {number + 1}: {words}"

    def _cell(self) -> str:
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))
        row = self.random.randrange(len(rows))
        column = self.random.randrange(len(rows[row]))
        cell = self.random.choice(CELLS)
        if self.random.random() < 0.1:
            del rows[row][column]
            cell = "none"
        else:
            rows[row][column] = cell
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows(rows)
        self.path.write_bytes(stream.getvalue().encode(errors="surrogateescape"))
        return f"cell {column} of row {row} is {cell[:20]!r}"

    def _change(self, record: Any) -> str:
        """Another value at one place, or none; deep places are as likely as those above."""
        places = list(_places(record))
        parent, key, words = self.random.choice(places)
        if isinstance(parent, dict) and self.random.random() < 0.15:
            del parent[key]
            return f"{words} is gone"
        before = parent[key]
        if isinstance(before, int | float) and self.random.random() < 0.3:
            value: object = before * self.random.choice((-1, 2, 10**6, 0.37))
        elif isinstance(before, list) and before and self.random.random() < 0.5:
            value = self.random.choice((before[:-1], [*before, before[0]], before[::-1]))
        else:
            value = self.random.choice(VALUES)
        parent[key] = value
        return f"{words} is {repr(value)[:40]}"


def _places(node: Any, words: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Each value below: what holds it, its key there, and where that is in words."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys)[:40]:
        name = f"{words}.{key}" if words else str(key)
        yield node, key, name
        yield from _places(node[key], name)
