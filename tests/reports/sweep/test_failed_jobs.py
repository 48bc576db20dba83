"""A failed gate in a sweep: a failure in its table, its page and its screen, with its finding."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.files import write_json, write_lines
from expkit.records.run.digest import read_digest
from expkit.records.run.metadata import StageResult
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import DONE, FAILED
from expkit.reports import markdown
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.page import refresh_sweep
from expkit.reports.sweep.progress import SweepProgress
from expkit.reports.sweep.sweep_screen import closing_screen

REASON = "1 sample not learnt in 100 steps: loss 2.302, not < 0.01"


def gates_sweep(parent: Path, **passed: bool) -> Path:
    """A job for each model, of which a gate passed some; none measures a figure."""
    jobs = [FakeJob({"model": name}, 0.0) for name in passed]
    path = write_sweep(parent, jobs)
    for job, is_passed in zip(Sweep(path).jobs, passed.values(), strict=True):
        assert job.run is not None
        gate = StageResult("overfit_1", is_passed, "learnt" if is_passed else REASON, "OverfitGate")
        write_lines(job.run.path / "stages.jsonl", [gate.to_json()])
        digest = read_digest(job.run.path)
        assert digest is not None
        status, findings = ("finished", []) if is_passed else ("failed", ["gate_failed"])
        replace(digest, status=status, findings=findings, metrics={}).write(job.run.path)
    return path


def test_a_failed_gate_is_a_failure_everywhere(tmp_path: Path) -> None:
    """Which model, why, and what was found; no figure is missed, and no folder named in vain."""
    path = gates_sweep(tmp_path, sound=True, broken=False, deep=True)
    outcome = refresh_sweep(path)
    assert outcome.counts() == "3 jobs: 2 finished, 1 failed"
    screen, page = closing_screen(outcome), (path / "sweep.md").read_text()
    for text in (" ".join(screen.split()), page):
        assert "2 of 3 jobs passed every stage" in text
        reason = REASON if text != page else markdown.plain(REASON)
        assert f"overfit_1 failed: {reason}; found: gate_failed" in text
        assert "no job has a figure" not in text
    assert "  FAIL   #1 broken" in screen
    assert "  PASS   #0 sound" in screen
    assert "plots" not in screen
    assert not (path / "plots").exists()
    assert "expkit resume" not in page  # it would fail again
    with (path / "sweep.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["status"] for row in rows] == ["finished", "failed", "finished"]
    assert [row["findings"] for row in rows] == ["", "gate_failed", ""]


def test_a_failed_gate_is_told_while_the_sweep_runs(tmp_path: Path) -> None:
    """As a failure with its reason, and not among the jobs that are done."""
    progress = SweepProgress(gates_sweep(tmp_path, sound=True, broken=False))
    broken = next(job for job in progress.jobs.values() if job.number == 1)
    assert progress.outcome(broken).startswith(f"overfit_1 failed: {REASON}")


def test_what_a_gate_failed_is_not_run_again(tmp_path: Path) -> None:
    """It is done, as it would fail again; only what broke off or raised is begun anew."""
    assert "failed" in DONE
    assert "failed" not in FAILED
    path = gates_sweep(tmp_path, broken=False)
    assert "expkit diagnose" in closing_screen(SweepOutcome.of(path))


@pytest.mark.parametrize("stopped", ["interrupted", "killed", "timed out"])
def test_a_job_is_finished_once_its_pages_are_there(tmp_path: Path, stopped: str) -> None:
    """Cut off while they were drawn, it is to be resumed, whatever its stages say."""
    path = write_sweep(tmp_path, [FakeJob({}, 0.9, status=stopped)])
    (job,) = Sweep(path).jobs
    assert job.run is not None
    assert job.run.status == job.status == "finished"
    summary = job.run.path / "summary.json"
    write_json(summary, {"status": "interrupted"})  # of an earlier interruption
    assert Sweep(path).jobs[0].status == stopped
    summary.unlink()
    assert Sweep(path).jobs[0].status == stopped
    assert "expkit resume" in closing_screen(SweepOutcome.of(path))


def test_the_time_of_a_job_is_that_of_finished_ones(tmp_path: Path) -> None:
    """One that hung until its timeout took no longer than the others: 21 s, not their mean."""
    jobs = [
        FakeJob({"model": "a"}, 0.9, 0),
        FakeJob({"model": "a"}, 0.8, 1),
        FakeJob({"model": "a"}, None, 2, "timed out", "it took longer than 600 s", seconds=600),
        FakeJob({"model": "b"}, None, 0, "timed out", "it took longer than 600 s", seconds=600),
        FakeJob({"model": "c"}, 0.7, 0),
    ]
    path = write_sweep(tmp_path, jobs)
    refresh_sweep(path)
    times = {
        cells[2]: cells[-3]
        for line in (path / "sweep.md").read_text().splitlines()
        if len(cells := [cell.strip() for cell in line.split("|")]) > 8
    }
    assert times == {"model": "time a job", "---": "---", "a": "21.0 s", "b": "-", "c": "21.0 s"}
