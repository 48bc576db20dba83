"""The table of runs: what it has of each, and that its groups are the recipes of all pages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.records.sweep.folder import Sweep
from expkit.reports.runs.rows import read_jobs, read_run
from expkit.reports.runs.runs_frame import runs_frame

JOBS = [
    FakeJob({"width": 8}, 0.5, 0, findings=["overfitting", "dead_relu"]),
    FakeJob({"width": 8}, 0.7, 1),
    FakeJob({"width": 16}, 0.8, 0),
    FakeJob({"width": 16}, None, 1, "killed", "by signal 9"),
    FakeJob({"width": 8}, 0.9, 0, name="again"),
]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(write_sweep(tmp_path, JOBS))


def test_a_job_has_a_row_with_its_settings_and_figures(sweep: Sweep) -> None:
    """Also one that failed, which has no figure; a setting keeps its type."""
    frame = runs_frame(read_jobs(sweep))
    assert frame["asked.width"].tolist() == [8, 8, 16, 16, 8]
    assert frame["val/accuracy"].tolist()[:3] == [0.5, 0.7, 0.8]
    assert frame["val/accuracy"].isna().tolist() == [False, False, False, True, False]
    assert frame["status"].tolist() == ["finished"] * 3 + ["killed", "finished"]
    first, failed = frame.iloc[0], frame.iloc[3]
    assert (first["folder"], first["best_epoch"]) == ("20260101_000000_net", 17)
    assert first["findings"] == "overfitting dead_relu"
    assert (failed["folder"], failed["reason"]) == ("", "by signal 9")
    assert {"seed", "fold", "judged_split", "epochs", "seconds", "overrides"} < {*frame.columns}


def test_a_recipe_is_a_group(sweep: Sweep) -> None:
    """0.5 and 0.7 are 0.6 with a sample deviation of 0.1414; the one made twice counts once."""
    frame = runs_frame(read_jobs(sweep))
    assert frame["repeats"].dropna().to_dict() == {4: 0}
    found = frame[frame["repeats"].isna()].groupby("recipe")["val/accuracy"].agg(["mean", "std"])
    assert found["mean"].to_dict() == pytest.approx({"A": 0.6, "B": 0.8})
    assert found.loc["A", "std"] == pytest.approx(0.02**0.5)
    assert pd.isna(found.loc["B", "std"])


def test_runs_have_the_same_columns_as_jobs(sweep: Sweep) -> None:
    """A run that stands alone is no job; all else is told of it alike."""
    jobs = read_jobs(sweep)[:3]
    runs = [read_run(row.run) for row in jobs]
    ours, theirs = runs_frame(runs), runs_frame(jobs)
    for name in ("recipe", "folder", "seed", "asked.width", "val/accuracy", "epochs", "findings"):
        assert ours[name].tolist() == theirs[name].tolist()
    assert ours["job"].isna().all()


def test_no_setting_takes_the_place_of_a_fact(sweep: Sweep) -> None:
    """A stranger's config may have a key of any name."""
    row = replace(read_jobs(sweep)[0], choices={"status": "fine", "model": "net"})
    frame = runs_frame([row])
    assert (frame.loc[0, "status"], frame.loc[0, "model"]) == ("finished", "net")
    assert [*frame.columns[:2]] == ["recipe", "repeats"]
