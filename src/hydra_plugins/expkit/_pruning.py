"""Ends the trials that do badly, while a batch of them runs, wherever it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from expkit.records.sweep import Job, Sweep, SweepFolder, is_sweep
from expkit.reports.search import course

LOOK_SECONDS = 0.5


class Trial(Protocol):
    """What is asked of Optuna's."""

    def report(self, value: float, step: int) -> None: ...

    def should_prune(self) -> bool: ...


@dataclass
class Pruning:
    """Reads what the running jobs have recorded, and asks those to stop that shall."""

    path: Path
    objective: str
    trials: Mapping[Sequence[str], Trial]  # by their words
    told: dict[str, int] = field(default_factory=dict)  # epochs, by job

    def look(self) -> None:
        if not is_sweep(self.path):  # nothing is planned yet
            return
        for job in Sweep(self.path).jobs:
            trial = self.trials.get(tuple(job.overrides))
            if trial is not None and job.run is not None:
                self._report(job, trial)

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
