"""The launcher that runs the jobs of a sweep on this machine."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import FAILURES, Job
from expkit.sweeps.job import conduct
from expkit.sweeps.launchers import arguments
from expkit.sweeps.launchers.exit_records import MOST_LOSSES, ExitRecords
from expkit.sweeps.launchers.pool import ForkedCalls, ProcessResult
from expkit.sweeps.launchers.preloading import list_modules
from expkit.sweeps.launchers.resources import Resources, divide_machine
from expkit.sweeps.live_view import SweepScreen
from expkit.terminal.signals import note_signals

TICK_SECONDS = 0.25


class Launcher(Protocol):
    """Runs planned jobs; what became of each is in the sweep's records alone."""

    def run(self, sweep: Path, jobs: Sequence[str]) -> None: ...


class SweepDisplay(Protocol):
    """Whoever looks on at a sweep."""

    def started(self, job: str) -> None: ...

    def ended(self, job: str) -> None: ...

    def tick(self) -> None:
        """Comes about four times a second."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class LocalLauncher(arguments.LocalLauncher):
    """Each job in a process of its own."""

    def run(
        self,
        sweep: Path,
        jobs: Sequence[str],
        open_screen: Callable[[Path], SweepDisplay] = SweepScreen,
    ) -> None:
        planned = Sweep(sweep).jobs
        wanted = set(jobs)
        open_ = [job for job in planned if job.id in wanted]
        resources = self._resources(sweep, planned)
        with (
            contextlib.closing(open_screen(sweep)) as display,
            ForkedCalls(
                list_modules(job.config for job in open_),
                {"OMP_NUM_THREADS": str(resources.threads)},
            ) as calls,
            note_signals() as signals,
        ):
            words = ExitRecords(sweep, signals, self.timeout)
            _Conductor(self, sweep, resources, calls, display, signals, words, deque(open_)).run()

    def _resources(self, sweep: Path, planned: Sequence[Job]) -> Resources:
        """The same threads for each job, also when the sweep is resumed or grows: sums differ."""
        devices = [job.config["device"] for job in planned]
        asked = [device["threads"] for device in devices if device.get("threads")]
        remembered = Sweep(sweep).metadata.get("threads")
        resources = divide_machine(
            self.jobs,
            num_planned=len(planned),
            devices={device.get("name", "auto") for device in devices},
            threads=max(asked, default=None) or remembered,
            jobs_per_device=self.jobs_per_device,
        )
        if remembered is None:
            SweepFolder(sweep).remember(threads=resources.threads)
        return resources


@dataclass
class _Conductor:
    """One launch under way."""

    launcher: LocalLauncher
    sweep: Path
    resources: Resources
    calls: ForkedCalls
    display: SweepDisplay
    signals: Sequence[int]
    words: ExitRecords
    waiting: deque[Job]
    running: dict[str, tuple[Job, int]] = field(default_factory=dict)  # with the place of each
    losses: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        while self.waiting or self.running:
            if self.signals:
                self._stop(at_once=len(self.signals) > 1)
            while self.waiting and len(self.running) < self.resources.num_jobs:
                self._start(self.waiting.popleft())
            for ended in self.calls.wait(TICK_SECONDS) if self.running else ():
                self._settle(ended)
            self.display.tick()

    def _start(self, job: Job) -> None:
        taken = {place for _, place in self.running.values()}
        place = next(each for each in range(self.resources.num_jobs) if each not in taken)
        self.running[job.id] = (job, place)
        self.words.expect([job])
        self.calls.start(
            job.id,
            conduct,
            (self.sweep, job.id),
            output=job.output,
            environ=self.resources.environ(place),
            timeout_seconds=self.launcher.timeout,
        )
        self.display.started(job.id)

    def _stop(self, *, at_once: bool) -> None:
        self.waiting.clear()
        self.words.stopped.update(self.running)
        if at_once:
            self.calls.kill()
        else:
            self.calls.stop()

    def _settle(self, ended: ProcessResult) -> None:
        """Write down what the job itself could not."""
        job = self.running.pop(ended.key)[0]
        if ended.is_lost and not self.signals and self.losses[job.id] < MOST_LOSSES:
            self.losses[job.id] += 1
            self.waiting.appendleft(job)
            return
        self.words.complete([job], ended)
        self.display.ended(job.id)
        if self.launcher.fail_fast and job.again().status in FAILURES:
            self._stop(at_once=False)
