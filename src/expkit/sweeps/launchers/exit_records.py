"""The last words of jobs whose processes could not say them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from expkit.records.sweep.folder import SweepFolder
from expkit.records.sweep.job import DONE, Job
from expkit.sweeps.launchers.memory_kills import count_memory_kills
from expkit.sweeps.launchers.pool import ProcessResult

MOST_LOSSES = 3  # of one job's process with its server, after which it is given up


@dataclass
class ExitRecords:
    """The exit records of one launch; those of an earlier one are of another process."""

    sweep: Path
    signals: Sequence[int]  # those that have come, which interrupt all jobs
    timeout_seconds: float | None = None
    stopped: set[str] = field(default_factory=set)  # the jobs that were asked to end
    _num_said: dict[str, int] = field(default_factory=dict)  # events before this process, by job
    _memory_kills: int = field(default_factory=count_memory_kills)

    def expect(self, jobs: Sequence[Job]) -> None:
        """To be called before the process is started that runs them."""
        for job in jobs:
            self._num_said[job.id] = len(job.again().events)

    def complete(self, jobs: Sequence[Job], ended: ProcessResult) -> None:
        """Write down how the process of these jobs ended, for those that have not done so."""
        status, reason = self._explain(ended)
        for job in map(Job.again, jobs):
            if self._has_said(job, ended):
                continue
            SweepFolder(self.sweep).note(
                job.id,
                "ended",
                status=status,
                reason=reason,
                exit_code=ended.code,
                seconds=round(ended.seconds, 3),
            )

    def _has_said(self, job: Job, ended: ProcessResult) -> bool:
        if ended.code == 0 and job.status in DONE:  # by another process, as this one has found
            return True
        last = job.events[-1] if len(job.events) > self._num_said[job.id] else {}
        if last.get("event") != "ended":
            return False
        # within its time's grace it may have ended otherwise, which then holds
        return not (ended.timed_out and last["status"] == "interrupted")

    def _explain(self, ended: ProcessResult) -> tuple[str, str]:
        if ended.timed_out:
            return "timed out", f"it took longer than {self.timeout_seconds:g} s"
        if self.signals:
            return "interrupted", ""
        if ended.key in self.stopped:
            return "interrupted", "stopped, as another job had failed"
        if ended.is_lost:
            return "killed", f"its server died {MOST_LOSSES + 1} times"
        if ended.code >= 0:
            return "exited", f"the process ended with exit code {ended.code}"
        before, self._memory_kills = self._memory_kills, count_memory_kills()
        if ended.code == -9 and self._memory_kills > before:
            return "killed", "by signal 9, as the machine ran out of memory"
        return "killed", f"by signal {-ended.code}"
