"""The ledger of a sealed test set: every look at it, by all runs of an output folder."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, cast

from expkit.records.files import append_line, read_lines
from expkit.records.run.reader import Run
from expkit.records.run.writer import hold_file
from expkit.records.safe_open import is_file, make_inside
from expkit.records.sweep.folder import is_sweep
from expkit.records.typed_values import check_shape

FOLDER = "test_looks"  # beside the runs


class Line(TypedDict):
    """A line of a ledger."""

    kind: Literal["sealed", "look"]
    run: str
    time: str


@dataclass(frozen=True)
class TestLedger:
    """One test set's file of looks, each a line that stays."""

    __test__ = False

    path: Path

    @classmethod
    def of(cls, outputs: Path, identity: str) -> TestLedger:
        """The ledger of a test set beside the runs of a folder, or beside their sweep."""
        root = outputs.parent if is_sweep(outputs) else outputs
        return cls(root / FOLDER / f"{identity}.jsonl")

    @classmethod
    def all_of_run(cls, run: Run, outputs: Path, identity: str) -> list[TestLedger]:
        """The ledgers that count a look with a run's model which is recorded in a folder of runs.

        The one beside the run, and the one in that folder, of which the run may have been moved
        away. An exported model may lie anywhere: its looks are counted where they are recorded.
        Where there is none, the first is the one to begin.
        """
        beside = run.path.resolve().parent if run.exported is None else outputs.resolve()
        places = dict.fromkeys([beside, outputs.resolve()])
        ledgers = [cls.of(place, identity) for place in places]
        return [each for each in ledgers if each.exists] or ledgers[:1]

    @property
    def exists(self) -> bool:
        """Tell whether any run has sealed this test set here."""
        return is_file(self.path)

    def seal(self, run: str) -> None:
        """Begin the ledger, where no run has."""
        make_inside(self.path.parent, self.path.parent.parent)
        if not self.exists:
            self._append("sealed", run)

    def looks(self) -> list[Line]:
        """The looks so far, oldest first."""
        lines = read_lines(self.path, ("kind", "run", "time"), _is_line)
        return [cast("Line", line) for line in lines if line["kind"] == "look"]

    def count_look(self, run: str) -> int:
        """Write down one more look, and return the how-manieth it is."""
        lock = hold_file(self.path.with_suffix(".lock"))
        try:
            number = len(self.looks()) + 1
            self._append("look", run)
        finally:
            os.close(lock)
        return number

    def _append(self, kind: Literal["sealed", "look"], run: str) -> None:
        line = Line(kind=kind, run=run, time=time.strftime("%Y-%m-%d %H:%M:%S"))
        append_line(self.path, json.dumps(line))


def identify(labels: Sequence[str], samples: Sequence[str], targets: Sequence[object]) -> str:
    """Return a word for samples and targets that is the same at any size, and in any order."""
    known = [list(labels), sorted(map(repr, zip(samples, targets, strict=True)))]
    return hashlib.sha256(json.dumps(known).encode(errors="backslashreplace")).hexdigest()[:16]


def _is_line(record: dict[str, object]) -> bool:
    try:
        check_shape(record, Line)
    except ValueError:
        return False
    return True
