"""A folder that is followed: its new images are predicted as they appear, each of them once."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from expkit.data.audit.image_stats import levels_and_grain
from expkit.data.store.arriving_files import Arrival, ArrivingFiles, FileState
from expkit.diagnosis.finding import counted
from expkit.metrics.drift import DriftWatch, Look, Seen
from expkit.records.followed_csv import FollowedCsv
from expkit.reports.drift import describe_look, summarize_drift
from expkit.reports.formatting import duration
from expkit.sanitize import one_line
from expkit.terminal.signals import note_signals, raise_if_interrupted, stop_on_signals

if TYPE_CHECKING:
    from expkit.runner.inference import FilePrediction

    Predict = Callable[[Sequence[Path]], Iterator[FilePrediction]]

COUNTED_SECONDS = 10.0  # between two lines that say how many images came
FILE_COLUMNS = ("bytes", "modified_ns", "predicted_at")


def columns_behind(channels: Sequence[str]) -> list[str]:
    """The columns behind those of a prediction."""
    return [*(f"mean_{channel}" for channel in channels), "grain", *FILE_COLUMNS]


@dataclass
class Follower:
    """Predicts what is new in a folder, appends it to the CSV, and watches for drift."""

    files: ArrivingFiles
    csv: FollowedCsv
    header: Sequence[str]  # of a prediction; its last column is the error
    channels: Sequence[str]
    has_classes: bool
    predict: Predict
    row_of: Callable[[FilePrediction], list[str]]
    drift: DriftWatch
    batch_size: int
    now: Callable[[], float] = time.time
    num_before: int = 0  # rows that an earlier start had written
    num_predicted: int = 0
    num_failed: int = 0
    _counted: int = 0  # of the predicted, when it was said last
    _counted_at: float = 0.0
    _unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns of a prediction, the image's statistics, and what the file is known by."""
        return [*self.header, *columns_behind(self.channels)]

    def begin(self) -> None:
        """Read what is done already."""
        self.csv.begin(self.columns, self._recall)

    def look(self) -> None:
        """Predict what can be read now."""
        raise_if_interrupted()
        arrivals = self.files.look(self.now())
        self._tell_folders()
        results = self.predict([Path(each.path) for each in arrivals]) if arrivals else iter(())
        pairs = zip(arrivals, results, strict=True)
        while chunk := list(islice(pairs, self.batch_size)):
            with note_signals():  # neither a half row, nor one that is not counted
                self._add(chunk)
            raise_if_interrupted()
            self._count()
        self._count()

    def summary(self, seconds: float) -> list[str]:
        """The lines at the end."""
        failed = f", {self.num_failed} not read" if self.num_failed else ""
        before = f" ({counted(self.num_before, 'row')} before)" if self.num_before else ""
        lines = [
            f"predicted {counted(self.num_predicted, 'image')} in {duration(seconds)}{failed}: "
            f"{self.csv.path}{before}"
        ]
        if left := self.files.num_arriving:
            lines.append(f"left      {counted(left, 'file')}, not predicted yet")
        return lines + summarize_drift(self.drift)

    def _recall(self, row: Sequence[str]) -> None:
        """Take a row of the CSV for done; no word of drift that was said then is said again."""
        size, modified_ns, _ = row[-len(FILE_COLUMNS) :]
        self.files.done[row[0]] = FileState(int(size), int(modified_ns))
        self.num_before += 1
        self._watch(row)

    def _add(self, chunk: Sequence[tuple[Arrival, FilePrediction]]) -> None:
        """Append what is certain; a file that changed under way, or may yet, is met again."""
        done, rows = [], []
        for arrival, prediction in chunk:
            is_read = prediction.outputs is not None
            if not arrival.is_unchanged() or (not is_read and arrival.is_gone()):
                continue
            if is_read or arrival.is_still:
                done.append(arrival)
                rows.append(self._cells(arrival, prediction))
            else:
                arrival.was_unreadable = True
        if not rows:
            return
        self.csv.append(rows)
        for arrival, row in zip(done, rows, strict=True):
            self.files.finish(arrival)
            self._tell_row(row)

    def _cells(self, arrival: Arrival, prediction: FilePrediction) -> list[str]:
        statistics = [""] * (len(self.channels) + 1)
        if prediction.image is not None:
            levels, grain = levels_and_grain(prediction.image[None])
            statistics = [f"{number:.2f}" for number in (*levels[0], grain[0])]
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(self.now()))
        state = arrival.state
        row = self.row_of(prediction)
        return [*row, *statistics, str(state.size), str(state.modified_ns), at]

    def _tell_row(self, row: Sequence[str]) -> None:
        if error := row[len(self.header) - 1]:
            self.num_failed += 1
            _print(f"not read: {one_line(row[0])}: {one_line(error)}", sys.stderr)
        else:
            self.num_predicted += 1
        look = self._watch(row)
        for line in describe_look(look) if look else ():
            self._say(line)

    def _watch(self, row: Sequence[str]) -> Look | None:
        """Take a row for drift, as a later start will read it."""
        if row[len(self.header) - 1]:
            return None
        numbers = [float(each) for each in row[len(self.header) : -len(FILE_COLUMNS)] if each]
        seen = Seen(
            prediction=row[1] if self.has_classes else None,
            confidence=float(row[2]) if self.has_classes else None,
            levels=numbers[:-1] or None,
            grain=numbers[-1] if numbers else None,
        )
        return self.drift.add(seen)

    def _count(self) -> None:
        """Say how many came, now and then."""
        count, now = self.num_predicted - self._counted, self.now()
        if count and now - self._counted_at >= COUNTED_SECONDS:
            self._counted, self._counted_at = self.num_predicted, now
            num_rows = self.num_before + self.num_predicted + self.num_failed
            self._say(f"predicted {counted(count, 'image')}; {counted(num_rows, 'row')} in all")

    def _tell_folders(self) -> None:
        before, self._unreadable = self._unreadable, self.files.unreadable
        for folder in self._unreadable.keys() - before:
            self._say(f"waiting for '{one_line(folder)}': {self._unreadable[folder]}")
        for folder in before.keys() - self._unreadable:
            self._say(f"no more waiting for '{one_line(folder)}'")

    def _say(self, line: str) -> None:
        _print(f"{time.strftime('%H:%M:%S', time.localtime(self.now()))}  {line}", sys.stdout)


def follow(follower: Follower, every: float) -> None:
    """Look at the folder again and again, until Ctrl-C or SIGTERM; then say what came of it."""
    started = time.monotonic()
    before = f", after {counted(follower.num_before, 'row')}" if follower.num_before else ""
    _print(f"follow    {one_line(follower.files.root)} every {every:g} s{before}", sys.stdout)
    try:
        with stop_on_signals(), contextlib.suppress(KeyboardInterrupt):
            while True:
                follower.look()
                time.sleep(every)
    finally:
        for line in follower.summary(time.monotonic() - started):
            _print(line, sys.stdout)


def _print(line: str, stream: TextIO) -> None:
    """What follows a folder outlives its reader."""
    with contextlib.suppress(OSError):
        print(line, file=stream, flush=True)
