"""A job's row: of which of its run's records its figures are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.run.digest import Digest, read_digest
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep
from expkit.reports.runs.rows import read_jobs


@pytest.mark.parametrize(("status", "figure"), [("finished", 0.9), ("pruned", 0.3)])
def test_a_digest_of_an_interruption_is_not_the_end(
    status: str, figure: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off at 0.3, it went on to 0.9; what was pruned ends where it was stopped."""
    path = write_sweep(tmp_path, [FakeJob({"lr": 1}, 0.3, status=status)])
    (job,) = Sweep(path).jobs
    assert job.run is not None
    stored = read_digest(job.run.path)
    assert stored is not None
    replace(stored, status="interrupted").write(job.run.path)

    def made_anew(run: Run) -> Digest:
        return replace(stored, metrics={"val": {"accuracy": 0.9}})

    monkeypatch.setattr("expkit.reports.runs.rows.recall_digest", made_anew)
    (row,) = read_jobs(Sweep(path))
    assert row.figure("accuracy") == figure
