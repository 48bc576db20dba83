"""A sweep on the terminal while it runs; plain lines where nobody looks at one."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import FAILURES, Job
from expkit.reports.sweep.progress import SweepProgress
from expkit.reports.sweep.table import SweepTable
from expkit.terminal.live_block import TerminalBlock

LOOK_SECONDS = 1.0  # between looks at all jobs
DRAW_SECONDS = 0.25
PLAIN_SECONDS = 10.0  # between lines on how far it is, where there is no terminal


def _harming_none(show: Callable[..., None]) -> Callable[..., None]:
    """A fault in showing is printed once, and no job of the sweep ends with it."""

    @functools.wraps(show)
    def safely(self: SweepScreen, *arguments: str) -> None:
        try:
            show(self, *arguments)
        except Exception as error:
            self.tell_fault(f"{type(error).__name__}: {error}")

    return safely


class SweepScreen:
    """Shows what the sweep's records tell, so that any process can show it.

    The one that conducts the sweep has its table written after each job, too. `describe` has the
    words on a job that ended, in place of a sweep's own.
    """

    def __init__(
        self,
        sweep_path: Path,
        *,
        conducts: bool = True,
        describe: Callable[[Job], str] | None = None,
    ) -> None:
        self._describe = describe
        self._table = SweepTable.read(sweep_path) if conducts else None
        self._progress = SweepProgress(sweep_path)
        self._began = time.monotonic()
        self._begun: set[str] = set()
        self._faults: set[str] = set()  # those printed
        self._looked_at = self._drawn_at = 0.0
        self._line_at = self._began
        is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._block = TerminalBlock(sys.stderr) if is_terminal else None

    @_harming_none
    def started(self, job: str) -> None:
        """Its process may not have written so yet."""
        self._progress.read_plan()
        self._tell_start(self._progress.jobs[job])

    @_harming_none
    def ended(self, job: str) -> None:
        self._look_at(job)
        if self._table is not None:
            with contextlib.suppress(OSError):  # the page at the end says that a disk is full
                self._table.update(job)

    @_harming_none
    def tick(self) -> None:
        """To be called a few times a second."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        if self._block is not None and now - self._drawn_at >= DRAW_SECONDS:
            self._drawn_at = now
            self._block.draw(self._lines())
        elif self._block is None and now - self._line_at >= PLAIN_SECONDS:
            self._say(self._progress.headline())

    def close(self) -> None:
        """Erase the live block; printed lines stay."""
        self._look_at_last()
        if self._block is not None:
            self._block.erase()

    def tell_fault(self, fault: str) -> None:
        if fault not in self._faults:
            self._faults.add(fault)
            self._say(f"note    the sweep goes on, but cannot be shown: {fault}")

    @_harming_none
    def _look_at_last(self) -> None:
        self._look()

    def _look(self) -> None:
        for job in self._progress.look():
            self._tell(job)

    def _look_at(self, job: str) -> None:
        self._progress.read_plan()
        if self._progress.look_at(job):
            self._tell(self._progress.jobs[job])

    def _tell(self, job: Job) -> None:
        """On a terminal a running job has its line, and only failures stay."""
        label, status = self._progress.label(job), self._progress.statuses[job.id]
        if status == "running":
            self._tell_start(job)
            return
        self._begun.discard(job.id)  # a job may be begun anew
        if self._describe is not None:
            self._say(self._describe(job))
        elif status in FAILURES:
            self._say(f"FAIL  {label}: {self._progress.outcome(job)}")
        elif self._block is None:
            self._say(f"end   {label}: {self._progress.outcome(job)}")

    def _tell_start(self, job: Job) -> None:
        if self._block is None and self._describe is None and job.id not in self._begun:
            self._begun.add(job.id)
            self._say(f"start {self._progress.label(job)}")

    def _say(self, text: str) -> None:
        self._line_at = time.monotonic()
        if self._block is not None:
            self._block.erase()
        with contextlib.suppress(OSError):
            print(text, flush=True)

    def _lines(self) -> list[str]:
        assert self._block is not None
        columns, rows = self._block.size
        running = self._progress.running_lines()
        room = max(rows - 3, 1)
        if len(running) > room:
            running = [*running[: room - 1], f"  ... and {len(running) - room + 1} more running"]
        return [self._bar(columns), *running]

    def _bar(self, columns: int) -> str:
        """The failed ones are over too."""
        progress = self._progress
        over = progress.num_done + progress.num_failed
        return str(
            tqdm.format_meter(
                over,
                len(progress.jobs),
                time.monotonic() - self._began,
                ncols=max(columns - 1, 20),
                ascii=not (sys.stderr.encoding or "").lower().startswith("utf"),
                bar_format=f"{{percentage:3.0f}} % |{{bar}}| {progress.headline()}",
            )
        )


def follow(sweep: Sweep) -> None:
    """Watch a sweep that another process runs, until it ends."""
    screen = SweepScreen(sweep.path, conducts=False)
    with contextlib.closing(screen):
        while sweep.is_running:
            screen.tick()
            time.sleep(DRAW_SECONDS)
