"""Events of a sweep: what happened to each job, once, by the times at which it happened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.errors import UserError
from expkit.records.files import append_line
from expkit.records.run.writer import hold_lock
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.reports.events.sweep_events import SweepEvents
from expkit.reports.json.event import EndEvent, Event, JobEvent


def jobs_of(events: list[Event]) -> list[tuple[int, str]]:
    return [(event.number, event.state) for event in events if isinstance(event, JobEvent)]


def test_each_change_of_a_job_is_told_once(tmp_path: Path) -> None:
    """Those that were there, and then those that come; with the run folder once there is one."""
    path = write_sweep(
        tmp_path, [FakeJob({"lr": 0.1}, accuracy=0.9), FakeJob({"lr": 0.2}, status="waiting")]
    )
    events = SweepEvents(Sweep(path))
    first = list(events.look())
    assert jobs_of(first) == [(0, "running"), (0, "running"), (0, "finished")]
    ended = first[-1]
    assert isinstance(ended, JobEvent)
    assert ended.run is not None
    assert Path(ended.run).parent == path
    assert (ended.label, ended.seconds) == ("#0 lr=0.1", 20.0)
    assert list(events.look()) == []
    waiting = Sweep(path).jobs[1]
    SweepFolder(path).note(waiting.id, "started")
    assert jobs_of(list(events.look())) == [(1, "running")]
    SweepFolder(path).note(waiting.id, "ended", status="raised", reason="out of memory")
    (event,) = events.look()
    assert isinstance(event, JobEvent)
    assert (event.state, event.reason) == ("raised", "out of memory")


def test_jobs_side_by_side_are_told_by_their_times(tmp_path: Path) -> None:
    """Three that ran at once, from three files."""
    path = write_sweep(tmp_path, [FakeJob({"lr": lr}, status="waiting") for lr in (1, 2, 3)])
    times = {0: [3.0, 6.0], 1: [1.0, 5.0], 2: [2.0, 4.0]}
    for job in Sweep(path).jobs:
        for at, event in zip(times[job.number], ("started", "ended"), strict=True):
            record = {"event": event, "status": "finished", "at": at}
            append_line(job.events_path, json.dumps(record))
    numbers = [number for number, _ in jobs_of(list(SweepEvents(Sweep(path)).look()))]
    assert numbers == [1, 2, 0, 2, 1, 0]


def test_a_job_that_was_killed_is_told_at_the_end(tmp_path: Path) -> None:
    """Its process left no word; the sweep was cut off, and the exit code is 1."""
    path = write_sweep(tmp_path, [FakeJob({"lr": 0.1}, status="running")])
    events = SweepEvents(Sweep(path))
    list(events.look(is_last=True))
    job, end = events.end()
    assert isinstance(job, JobEvent)
    assert isinstance(end, EndEvent)
    assert job.state == "interrupted"
    assert (end.status, end.counts, end.exit_code) == ("interrupted", {"interrupted": 1}, 1)


@pytest.mark.parametrize(
    ("statuses", "status", "code"),
    [(["finished"], "finished", 0), (["finished", "raised"], "failed", 1)],
)
def test_the_last_line_counts_the_jobs(
    tmp_path: Path, statuses: list[str], status: str, code: int
) -> None:
    path = write_sweep(
        tmp_path, [FakeJob({"lr": i}, accuracy=0.5, status=s) for i, s in enumerate(statuses)]
    )
    events = SweepEvents(Sweep(path))
    list(events.look(is_last=True))
    (end,) = events.end()
    assert isinstance(end, EndEvent)
    assert (end.status, end.exit_code) == (status, code)


def test_a_sweep_that_goes_on_has_not_failed(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, [FakeJob({"lr": 0.1}, status="running")])
    assert hold_lock(path) is not None
    events = SweepEvents(Sweep(path))
    assert not events.is_over
    (end,) = events.end()
    assert isinstance(end, EndEvent)
    assert (end.status, end.exit_code) == ("running", 0)


def test_damage_is_refused_by_its_file(tmp_path: Path) -> None:
    path = write_sweep(tmp_path, [FakeJob({"lr": 0.1}, status="running")])
    events = SweepEvents(Sweep(path))
    list(events.look())
    append_line(Sweep(path).jobs[0].events_path, '{"event": "run", "run": "../../etc"}')
    with pytest.raises(UserError, match="is damaged"):
        list(events.look())
