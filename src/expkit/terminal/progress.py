"""A run on the terminal: a bar a stage, or plain lines where nobody looks at a terminal."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import NoReturn

from tqdm import tqdm

from expkit.diagnosis.finding import Finding
from expkit.metrics.percentages import percent
from expkit.records.files import Record
from expkit.records.run.metadata import StageResult
from expkit.records.run.writer import RunFolder
from expkit.reports.run.findings import describe
from expkit.terminal.bars import has_bars, open_bar
from expkit.terminal.signals import raise_if_interrupted

PLAIN_INTERVAL_SECONDS = 2.0


class Progress:
    """Watches a run; everything but the bars goes to log.txt too."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._bar: tqdm[NoReturn] | None = None
        self._max_epochs = 0
        self._last_line_at = 0.0

    def stage_started(self, stage: str, max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self._last_line_at = 0.0
        if has_bars() and max_epochs > 1:
            self._bar = open_bar(max_epochs, stage, unit="epoch")

    def epoch_done(self, record: Record) -> None:
        raise_if_interrupted()
        if self._bar is not None:
            self._bar.update(record["epoch"] - self._bar.n)
            self._bar.set_postfix_str(_figures(record), refresh=False)
        elif time.monotonic() - self._last_line_at > PLAIN_INTERVAL_SECONDS:
            self._last_line_at = time.monotonic()
            _print(f"  {record['stage']}  {record['epoch']}/{self._max_epochs}  {_figures(record)}")

    def stage_finished(self, result: StageResult) -> None:
        self.close()
        verdict = "PASS" if result.passed else "FAIL"
        self.say(f"{verdict}  {result.stage}: {result.reason} ({result.seconds:.1f} s)")

    def found(self, finding: Finding) -> None:
        self.say(describe(finding))

    def say(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stdout):
            _print(text)
        self._folder.log(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class ReadingBar:
    """Shows how far the reading of data is, where it takes long enough to be shown."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] | None = None
        self._last_line_at = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if not has_bars():
            if time.monotonic() - self._last_line_at > PLAIN_INTERVAL_SECONDS:
                self._last_line_at = time.monotonic()
                _print(f"  {what}  {done:,}/{total:,}")
            return
        if self._bar is None:
            self._bar = open_bar(total, what)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _print(text: str) -> None:
    """A run outlives its reader: what nobody takes is in log.txt."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _figures(record: Record) -> str:
    """The figures of an epoch that fit beside a bar; held-out ones where there are."""
    split = next(each for each in ("val", "train", "pretrain") if f"{each}/loss" in record)
    parts = [f"{split} loss {record[f'{split}/loss']:.4f}"]
    if f"{split}/accuracy" in record:
        parts.append(f"acc {percent(record[f'{split}/accuracy'], 1)}")
    if "val/knn_accuracy" in record:
        parts.append(f"val kNN {percent(record['val/knn_accuracy'], 1)}")
    parts.append(f"{record['samples_per_second']:,.0f}/s")
    return ", ".join(parts)
