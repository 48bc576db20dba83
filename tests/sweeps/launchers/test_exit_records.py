"""What is written down for jobs whose processes could not do so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import Job
from expkit.sweeps.launchers.exit_records import ExitRecords
from expkit.sweeps.launchers.pool import ProcessResult


def ended(
    code: int, key: str = "", *, timed_out: bool = False, is_lost: bool = False
) -> ProcessResult:
    return ProcessResult(key, code, 1.5, timed_out, is_lost)


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """A sweep of two jobs, of which nothing is told yet."""
    return SweepFolder(write_sweep(tmp_path, [FakeJob({}, None, n, "waiting") for n in range(2)]))


def jobs_of(folder: SweepFolder) -> list[Job]:
    return Sweep(folder.path).jobs


def told(folder: SweepFolder) -> list[tuple[str, str]]:
    return [(job.status, job.reason) for job in jobs_of(folder)]


def expecting(
    folder: SweepFolder, signals: Sequence[int] = (), limit: float | None = None
) -> ExitRecords:
    words = ExitRecords(folder.path, signals, limit)
    words.expect(jobs_of(folder))
    return words


def test_a_group_that_dies_before_its_jobs_speak_is_accounted_for(folder: SweepFolder) -> None:
    """Each of its jobs, also one that was begun; one that has ended by itself keeps its end."""
    words = expecting(folder)
    words.complete(jobs_of(folder), ended(1))
    assert told(folder) == [("exited", "the process ended with exit code 1")] * 2
    words.expect(jobs_of(folder))
    folder.note(jobs_of(folder)[0].id, "started")
    folder.note(jobs_of(folder)[1].id, "ended", status="raised", reason="its own")
    words.complete(jobs_of(folder), ended(-11))
    assert told(folder) == [("killed", "by signal 11"), ("raised", "its own")]


def test_an_earlier_end_is_no_word_of_this_life(folder: SweepFolder) -> None:
    """A resumed job that dies before its first word is told of by how it died now."""
    for job in jobs_of(folder):
        folder.note(job.id, "ended", status="raised", reason="before")
    words = expecting(folder)
    words.complete(jobs_of(folder), ended(-9))
    assert told(folder) == [("killed", "by signal 9")] * 2


def test_what_another_process_has_finished_stays_so(folder: SweepFolder) -> None:
    """This one has found it done, and said nothing."""
    for job in jobs_of(folder):
        folder.note(job.id, "ended", status="pruned", reason="early")
    words = expecting(folder)
    words.complete(jobs_of(folder), ended(0))
    assert told(folder) == [("pruned", "early")] * 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [("interrupted", "timed out"), ("raised", "raised"), ("pruned", "pruned"), (None, "timed out")],
)
def test_within_its_times_grace_a_job_may_end_otherwise(
    folder: SweepFolder, said: str | None, expected: str
) -> None:
    """Only what the time's end itself has brought about is called so."""
    words = expecting(folder, limit=6.0)
    for job in jobs_of(folder):
        if said is not None:
            folder.note(job.id, "ended", status=said, reason="said")
    words.complete(jobs_of(folder), ended(130, timed_out=True))
    reason = "it took longer than 6 s" if expected == "timed out" else "said"
    assert told(folder) == [(expected, reason)] * 2


def test_who_was_asked_to_end_has_not_failed(folder: SweepFolder) -> None:
    """By a signal, or since another had failed; even where it had to be killed in the end."""
    first, second = jobs_of(folder)
    words = expecting(folder)
    words.stopped.add(first.id)
    words.complete([first], ended(-9, first.id))
    words.complete([second], ended(-9, second.id))
    assert told(folder) == [
        ("interrupted", "stopped, as another job had failed"),
        ("killed", "by signal 9"),
    ]
    words = expecting(folder, signals=[2, 2])
    words.complete([first, second], ended(-9, first.id))
    assert told(folder) == [("interrupted", "")] * 2


def test_a_server_that_dies_again_and_again_is_named(folder: SweepFolder) -> None:
    """The job has no part in it."""
    words = expecting(folder)
    words.complete(jobs_of(folder), ended(255, is_lost=True))
    assert told(folder) == [("killed", "its server died 4 times")] * 2
