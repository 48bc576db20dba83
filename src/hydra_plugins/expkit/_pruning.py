"""Ends the trials that do badly, while a batch of them runs, wherever it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from expkit.records.sweep.folder import Sweep, SweepFolder, is_sweep
from expkit.records.sweep.job import Job
from expkit.reports.sweep.search import course

LOOK_SECONDS = 0.5


class Trial(Protocol):
    """The part of optuna.Trial that is used."""

    def report(self, value: float, step: int) -> None: ...

    def should_prune(self) -> bool: ...


@dataclass
class Pruning:
    """Reads what the running jobs have recorded, and asks those to stop that shall."""

    path: Path
    objective: str
    trials: Mapping[Sequence[str], Trial]  # by their words
    told: dict[str, int] = field(default_factory=dict)  # epochs, by job
    jobs: list[Job] = field(default_factory=list)  # of these trials
    sizes: dict[Path, int] = field(default_factory=dict)  # of what was read

    def look(self) -> None:
        """Twice a second, so only what has grown is read."""
        if not is_sweep(self.path):  # nothing is planned yet
            return
        if self._has_grown(self.path / "plan.jsonl"):
            jobs = Sweep(self.path).jobs
            self.jobs = [job for job in jobs if tuple(job.overrides) in self.trials]
        for job in map(Job.again, self.jobs):
            if job.run is not None and self._has_grown(job.run.path / "history.jsonl"):
                self._report(job, self.trials[tuple(job.overrides)])

    def _has_grown(self, path: Path) -> bool:
        before = self.sizes.get(path)
        self.sizes[path] = path.stat().st_size if path.exists() else 0
        return before != self.sizes[path]

    def _report(self, job: Job, trial: Trial) -> None:
        assert job.run is not None
        values = course(job.run, self.objective)
        for epoch in range(self.told.get(job.id, 0) + 1, len(values) + 1):
            self.told[job.id] = epoch
            trial.report(values[epoch - 1], epoch)
            if trial.should_prune() and job.status == "running":
                SweepFolder(self.path).ask_to_stop(job.id)


@contextlib.contextmanager
def pruning(path: Path, objective: str, trials: Mapping[Sequence[str], Trial]) -> Iterator[None]:
    """While the batch runs, and once more after it, so that the study knows all epochs."""
    watch, is_over = Pruning(path, objective, trials), threading.Event()
    failures: list[Exception] = []

    def look() -> None:
        try:
            while not is_over.wait(LOOK_SECONDS):
                watch.look()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if failures:
        raise failures[0]
    watch.look()
