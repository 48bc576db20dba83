"""The course of training: the log's own figures, found again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import classes_run, failed_gate_run, position_run, puzzle_run

from expkit.records.run.reader import Run
from expkit.reports.run.analysis import Curve, analysis_screen, stage_curves


def analyze(run: Run) -> str:
    return analysis_screen(run.name, stage_curves(run))


def scan_lines() -> list[dict[str, Any]]:
    """Fifty epochs of the scan-line log: the held-out loss is lowest at 27 and then rises."""
    lines = []
    for epoch in range(1, 51):
        val_loss = 1.237079 + (27 - epoch) / 100
        if epoch > 27:
            val_loss = 1.237079 + (1.443985 - 1.237079) * (epoch - 27) / 23
        lines.append(
            {
                "stage": "train",
                "epoch": epoch,
                "train/loss": 0.357031 + (50 - epoch) / 50,
                "train/accuracy": 0.831928 - (50 - epoch) / 100,
                "val/loss": val_loss,
                "val/accuracy": 0.664982 - abs(49 - epoch) * (0.664982 - 0.661257),
                "lr": 1e-4,
            }
        )
    return lines


def test_the_scan_line_log_is_found_again(tmp_path: Path) -> None:
    """Every figure that its analyzer printed, and the two sentences that its author missed."""
    text = analyze(classes_run(tmp_path, history=scan_lines()))
    train, val = text.split("=== val ===")
    for line in ("Total epochs: 50", "Best accuracy: 83.19 % (epoch 50)"):
        assert line in train.splitlines()
    assert "Best loss: 0.357031 (epoch 50)" in train.splitlines()
    for line in (
        "Best accuracy: 66.50 % (epoch 49)",
        "Best loss: 1.237079 (epoch 27)",
        "Latest accuracy: 66.13 % (epoch 50)",
        "Latest loss: 1.443985 (epoch 50)",
        "Gap at epoch 50: train is 17.07 points better in accuracy than val",
        "Held-out loss rose from epoch 27 on: lowest 1.237 at 27, 1.444 at 50",
    ):
        assert line in val.splitlines()


def test_a_loss_that_still_falls_is_not_said_to_rise(tmp_path: Path) -> None:
    """Cut at its lowest epoch, and cut where it is 1 % above."""
    at_best = analyze(classes_run(tmp_path / "a", history=scan_lines()[:27]))
    assert "lowest in the last epoch, 27" in at_best
    just_after = analyze(classes_run(tmp_path / "b", history=scan_lines()[:28]))
    assert "has not risen since its lowest: lowest 1.237 at 27, 1.246 at 28" in just_after


def test_gates_are_not_training(tmp_path: Path) -> None:
    """Steps on one sample are no epochs; a run that a gate ended has nothing to analyze."""
    assert analyze(failed_gate_run(tmp_path / "a")) == ""
    text = analyze(puzzle_run(tmp_path / "b", 2, 3))
    assert "overfit" not in text
    assert "No held-out split" in text


def test_regression_has_losses_alone(tmp_path: Path) -> None:
    """No accuracy is invented."""
    text = analyze(position_run(tmp_path, 2, 3))
    assert "accuracy" not in text
    assert "Best loss" in text


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_losses_that_are_not_finite_are_no_best(tmp_path: Path, broken: float) -> None:
    """The best is the best finite one, and the latest is named for what it is."""
    history = scan_lines()
    history[-1] = {**history[-1], "val/loss": broken, "val/accuracy": broken}
    text = analyze(classes_run(tmp_path / "a", history=history))
    assert "Best loss: 1.237079 (epoch 27)" in text
    assert "Latest loss: not finite (epoch 50)" in text
    for line in history:
        line["val/loss"] = broken
    assert "Best loss: never finite" in analyze(classes_run(tmp_path / "b", history=history))


def test_first_of_equals_is_the_best() -> None:
    """Two epochs with the same accuracy: the earlier one."""
    records = [{"epoch": e, "val/accuracy": a} for e, a in ((1, 0.5), (2, 0.7), (3, 0.7))]
    course = Curve.of(records, "val/accuracy")
    assert course is not None
    assert course.best is not None
    assert (course.best.epoch, course.latest.epoch) == (2, 3)
