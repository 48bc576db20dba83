"""The events of a sweep: what happens to its jobs, told from what each appends to its own file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

from expkit.records.files import Record
from expkit.records.run.schema import is_number
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import DONE, FAILURES, Job, Status
from expkit.records.sweep.line_checks import is_event
from expkit.reports.events.lines import NewRecords
from expkit.reports.json.event import BeginEvent, EndEvent, Event, JobEvent
from expkit.reports.json.sweep import has_passed
from expkit.reports.runs.rows import RunRow
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.progress import SweepProgress

CUT_OFF = ("waiting", "running", "interrupted")
PASSED, NOT_PASSED = 0, 1


@dataclass
class SweepEvents:
    """What has happened to the jobs of a sweep since it was last asked."""

    sweep: Sweep
    states: dict[str, str] = field(default_factory=dict)  # of each job, as it was told
    runs: dict[str, str] = field(default_factory=dict)  # the run folder of each job
    sources: dict[str, NewRecords] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._progress = SweepProgress(self.sweep.path)

    @property
    def is_over(self) -> bool:
        """Tell whether no process conducts it any more."""
        return not self.sweep.is_running

    def begin(self) -> BeginEvent:
        """The first line."""
        path = self.sweep.path
        status = "running" if self.sweep.is_running else _status(SweepOutcome.of(path).rows)
        return BeginEvent(
            kind="sweep", name=self.sweep.name, path=str(path), status=status, stages=[]
        )

    def look(self, *, is_last: bool = False) -> Iterator[Event]:
        """Yield what happened since, in the order of its times."""
        self._progress.read_plan()
        news = [
            (record, job) for job in self._progress.jobs.values() for record in self._gained(job)
        ]
        for record, job in sorted(news, key=lambda pair: _at(pair[0]) or 0.0):
            yield self._event(record, job)

    def end(self) -> Iterator[Event]:
        """Yield what jobs came to whose processes were killed before they said so; the last line.

        A job is running as long as its own process is, also where the sweep's was killed.
        """
        is_running = self.sweep.is_running
        rows = SweepOutcome.of(self.sweep.path).rows
        for row in rows if not is_running else ():
            assert row.job is not None
            if row.status != self.states.get(row.job.id, "waiting"):
                yield self._closing(row, row.job)
        has_passed_all = has_passed(rows)
        yield EndEvent(
            kind="sweep",
            name=self.sweep.name,
            path=str(self.sweep.path),
            status="running" if is_running else _status(rows),
            verdict=None,
            verdict_reason=None,
            counts=Counter(row.status for row in rows),
            passed=has_passed_all,
            exit_code=PASSED if has_passed_all or is_running else NOT_PASSED,
        )

    def _gained(self, job: Job) -> list[Record]:
        if self.states.get(job.id) in DONE:  # nothing more happens to it
            return []
        if job.id not in self.sources:
            self.sources[job.id] = NewRecords(
                job.events_path, self.sweep.path, ("event",), _is_job_event
            )
        return self.sources[job.id].look()

    def _event(self, record: Record, job: Job) -> JobEvent:
        if record["event"] in ("run", "reused"):
            self.runs[job.id] = str(self.sweep.path / record["run"])
        state = _state(record)
        self.states[job.id] = state
        return JobEvent(
            number=job.number,
            id=job.id,
            label=self._progress.label(job),
            state=state,
            at=_at(record),
            run=self.runs.get(job.id),
            reason=str(record.get("reason") or "") or None,
            seconds=record.get("seconds") if record["event"] == "ended" else None,
        )

    def _closing(self, row: RunRow, job: Job) -> JobEvent:
        return JobEvent(
            number=job.number,
            id=job.id,
            label=self._progress.label(job),
            state=row.status,
            at=None,
            run=None if row.path is None else str(row.path),
            reason=row.reason or None,
            seconds=row.seconds,
        )


def _is_job_event(record: Record) -> bool:
    return is_event(record, get_args(Status))


def _state(record: Record) -> str:
    """A job runs from its start to its end; it waits again where an engine put it back."""
    match record["event"]:
        case "ended":
            return str(record["status"])
        case "started" | "run":
            return "running"
        case event:
            return str(event)


def _at(record: Record) -> float | None:
    at = record.get("at")
    return float(at) if at is not None and is_number(at) else None


def _status(rows: Sequence[RunRow]) -> str:
    """The word for a sweep that nobody conducts."""
    if any(row.status in CUT_OFF for row in rows):
        return "interrupted"
    return "failed" if any(row.status in FAILURES for row in rows) else "finished"
