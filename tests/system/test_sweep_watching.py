"""A sweep as a user meets it: told while it runs, and accounted for at its end."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from running_expkit import TINY, Expkit


@pytest.mark.slow
def test_a_sweep_ends_with_its_table_and_its_page(expkit: Expkit, tmp_path: Path) -> None:
    """A row a job, the settings folded, the best named on the screen, and the next command."""
    words = (*TINY[:-1], "procedure.train.max_epochs=2", "procedure=full")
    done = expkit("train", "-m", *words, "optimizer.lr=1e-5,1e-2", "launcher.jobs=2")
    assert done.code == 0, done.err
    (sweep,) = tmp_path.glob("outputs/*_sweep")
    with (sweep / "sweep.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["status"], row["optimizer.lr"]) for row in rows] == [
        ("finished", "1e-05"),
        ("finished", "0.01"),
    ]
    assert "## Results" in (sweep / "sweep.md").read_text()
    assert (sweep / "plots" / "objective.png").exists()
    starts = [line for line in done.out.splitlines() if line.startswith("start #")]
    assert sorted(starts) == ["start #0 lr=1e-05", "start #1 lr=0.01"]
    assert f"{sweep.name}: 2 jobs: 2 finished" in done.out
    assert f"expkit compare {sweep.name}" in done.out
