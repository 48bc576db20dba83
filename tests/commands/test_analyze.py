"""`expkit analyze` as a user types it."""

from __future__ import annotations

from pathlib import Path

from running_expkit import Expkit
from synthetic_runs import classes_run, failed_gate_run


def test_analyze_prints_the_course(run_here: Expkit) -> None:
    """By the run's name, in exit code 0."""
    classes_run(Path("outputs"))
    done = run_here("analyze", "last")
    assert done.code == 0
    assert "=== val ===" in done.out
    assert "Best loss" in done.out


def test_analyze_of_a_run_that_never_trained(run_here: Expkit) -> None:
    """Says so in exit code 2."""
    failed_gate_run(Path("outputs"))
    done = run_here("analyze")
    assert done.code == 2
    assert "no epoch of training" in done.err
