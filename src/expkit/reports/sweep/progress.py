"""Where a running sweep stands, told from its records as they grow."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path

from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import DONE, FAILURES, Job
from expkit.reports import formatting
from expkit.reports.run.run_screen import short
from expkit.reports.runs.recipes import measured
from expkit.reports.runs.rows import read_job
from expkit.reports.runs.settings import SEED, Variation, describe_settings, seed_of
from expkit.reports.sweep.running_job import RunningJob
from expkit.reports.tables import aligned


class SweepProgress:
    """All jobs of a sweep, looked at again and again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._plan_size = -1
        self.jobs: dict[str, Job] = {}
        self.statuses: dict[str, str] = {}
        self.running: dict[str, RunningJob] = {}
        self._sizes: dict[str, int] = {}
        self._seconds: list[float] = []
        self.read_plan()

    def read_plan(self) -> None:
        """A search plans its jobs in batches."""
        size = _size_of(self._path / "plan.jsonl")
        if size == self._plan_size:
            return
        # sizes before contents: what is appended in between is then seen at the next look
        sizes = {path.stem: _size_of(path) for path in (self._path / "jobs").glob("*.jsonl")}
        sweep = Sweep(self._path)
        self._plan_size, self._objective = size, sweep.objective
        self._variation = Variation.of(sweep.jobs)
        if sweep.is_search and len(sweep.jobs) == 1:
            self._variation = Variation.of_first_trial(sweep.jobs[0], sweep.command)
        self._varied_seeds = len({seed_of(job) for job in sweep.jobs}) > 1
        for job in sweep.jobs:
            if job.id not in self.jobs:
                self._take(job, str(job.status), sizes.get(job.id, 0))

    def look(self) -> list[Job]:
        """The jobs to which something happened; running ones are looked into."""
        self.read_plan()
        changed = [self.jobs[each] for each in list(self.jobs) if self.look_at(each)]
        for each in self.running.values():
            each.look()
        return changed

    def look_at(self, identity: str) -> bool:
        """Tell whether something happened to this job."""
        size = _size_of(self.jobs[identity].events_path)
        if self.statuses[identity] in DONE or size == self._sizes[identity]:
            return False
        job = self.jobs[identity].again()
        last = job.events[-1]["event"] if job.events else "waiting"
        self._take(job, "running" if last in ("started", "run") else str(job.status), size)
        return True

    def _take(self, job: Job, status: str, size: int) -> None:
        self.jobs[job.id], self.statuses[job.id], self._sizes[job.id] = job, status, size
        if status == "running":
            self.running.setdefault(job.id, RunningJob(job)).job = job
        else:
            self.running.pop(job.id, None)
            if status == "finished" and job.seconds is not None:
                self._seconds.append(job.seconds)

    @property
    def num_done(self) -> int:
        """Without those that a stage has failed."""
        return sum(each in DONE and each not in FAILURES for each in self.statuses.values())

    @property
    def num_failed(self) -> int:
        return sum(status in FAILURES for status in self.statuses.values())

    @property
    def seconds_left(self) -> float | None:
        """By the mean of the finished jobs and how many run at once; None before the first."""
        open_ = len(self.jobs) - self.num_done - self.num_failed
        if not self._seconds or not open_:
            return None
        work = open_ - sum(each.fraction for each in self.running.values())
        return statistics.fmean(self._seconds) * work / max(1, len(self.running))

    def headline(self) -> str:
        """`12 of 40 done, 1 failed, 2 running, about 3 min 05 s left`."""
        counts = Counter(self.statuses.values())
        parts = [f"{self.num_done} of {len(self.jobs)} done"]
        parts += [f"{self.num_failed} failed"] if self.num_failed else []
        parts += [f"{len(self.running)} running"] if self.running else []
        parts += [f"{counts['interrupted']} cut off"] if counts["interrupted"] else []
        left = self.seconds_left
        parts += (
            [f"about {formatting.duration(left)} left"] if left is not None and left >= 1 else []
        )
        return ", ".join(parts)

    def label(self, job: Job) -> str:
        """`#12 simple_conv, lr=0.001, seed=2`: the number, and what varies."""
        settings = self._variation.settings(job)
        if self._varied_seeds:
            settings[SEED] = seed_of(job)
        return f"#{job.number} {describe_settings(settings)}".strip()

    def outcome(self, job: Job) -> str:
        """The outcome of an ended job, with its figure or its reason."""
        row = read_job(job, self._variation)
        time = formatting.duration(row.seconds) if row.seconds else ""
        if row.is_failed:
            return f"{row.failure}\n      see   {short(job.output)}"
        metric = measured(self._objective, [row])
        value = row.figure(self._objective)
        figure = None if value is None else formatting.figure(metric, value)
        named = f"{metric} {figure}" if figure else row.reason
        status = "" if row.status == "finished" else row.status
        return ", ".join(filter(None, [status, named, time]))

    def running_lines(self) -> list[str]:
        """A line each, in columns."""
        cells = [(self.label(each.job), each.describe()) for each in self.running.values()]
        return [f"  {line}" for line in aligned(cells)]


def _size_of(path: Path) -> int:
    """0 of a file that is not there yet."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
