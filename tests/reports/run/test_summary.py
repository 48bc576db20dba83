"""The verdict of a run: met, not met or not judged, and what it is made of."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from synthetic_runs import (
    PROCEDURE,
    answers,
    classes_run,
    config_of,
    failed_gate_run,
    finished_stages,
    interrupted_run,
    position_run,
    puzzle_metadata,
    puzzle_run,
    write_run,
)

from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.reader import Run
from expkit.reports.run.summary import all_passed, recall, summarize
from expkit.reports.run.summary_tables import criteria_table


def run_with_accuracy(parent: Path, num_right: int, num_samples: int, criterion: str | None) -> Run:
    """One class pair, so many right, judged on training samples by one criterion, or by none."""
    targets = np.arange(num_samples) % 2
    right = np.arange(num_samples) < num_right
    table = np.where(right[:, None] == np.eye(2, dtype=bool)[targets], 0.9, 0.1)
    metadata = replace(puzzle_metadata(1, 2), class_names=("clean", "pit"), layouts={})
    predictions = ClassPredictions(
        "train",
        [str(i) for i in range(num_samples)],
        targets,
        np.where(right, targets, 1 - targets),
        np.where(right, 0, 1),
        table.astype(np.float32),
        ["clean", "pit"],
    )
    return write_run(
        parent,
        metadata,
        config=config_of(criteria={"accuracy": criterion} if criterion else {}),
        stages=finished_stages(),
        predictions=[predictions],
    )


def test_just_under_the_bound_is_not_met(tmp_path: Path) -> None:
    """1155 of 1226 is 94.21 %, which is not >= 94.5 %, and the process may not exit with 0."""
    summary = summarize(run_with_accuracy(tmp_path, 1155, 1226, ">= 0.945"))
    assert summary["verdict"] == "not met"
    assert summary["criteria"][0]["met"] is False
    assert summary["metrics"]["train"]["accuracy"] == pytest.approx(1155 / 1226)
    assert not all_passed(summary)


def test_a_run_without_criteria_passes_and_says_what_its_accuracy_is_worth(tmp_path: Path) -> None:
    """Worse than guessing, and yet exit 0: nobody asked for more. The levels stand beside it."""
    summary = summarize(run_with_accuracy(tmp_path, 4, 10, None))
    assert (summary["verdict"], all_passed(summary)) == ("not judged", True)
    for words in ("no criteria were stated", "accuracy 40.00 %", "largest class", "chance 50.00 %"):
        assert words in summary["verdict_reason"]


def test_met_needs_the_relation_as_stated(tmp_path: Path) -> None:
    """Half right meets >= 0.5 and does not meet > 0.5."""
    assert summarize(run_with_accuracy(tmp_path, 5, 10, ">= 0.5"))["verdict"] == "met"
    assert summarize(run_with_accuracy(tmp_path, 5, 10, "> 0.5"))["verdict"] == "not met"


def test_finished_run_adds_up(tmp_path: Path) -> None:
    """Levels, time, speed and memory are those of the records."""
    run = puzzle_run(tmp_path)
    summary = summarize(run)
    assert summary["chance_accuracy"] == pytest.approx(1 / 950)
    assert summary["majority_accuracy"] == pytest.approx(1 / 950)
    assert summary["chance_loss"] == pytest.approx(6.8565, abs=1e-4)
    assert summary["wall_seconds"] == pytest.approx(1.2 + 2.9 + 24.4 + 0.5)
    assert summary["samples_per_second"] == 1600
    assert summary["peak_memory_bytes"] == 912_000_000
    assert summary["best_epoch"] == 37
    assert "there is no held-out split" in summary["judged_on"]
    assert summary["held_out_gap"] is None


def test_failed_gate_is_not_judged(tmp_path: Path) -> None:
    """A run that a gate ended names the gate, leaves its criteria open, and does not pass."""
    summary = summarize(failed_gate_run(tmp_path))
    assert summary["status"] == "failed"
    assert summary["verdict"] == "not judged"
    assert "overfit_10" in summary["verdict_reason"]
    assert [c["met"] for c in summary["criteria"]] == [None, None]
    assert [s["passed"] for s in summary["stages"]] == [True, False, None, None]
    assert not all_passed(summary)


def test_gates_alone_may_pass(tmp_path: Path) -> None:
    """Criteria that a procedure without an evaluation cannot measure do not fail it."""
    gates = {name: PROCEDURE[name] for name in ("overfit_1", "overfit_10")}
    config = config_of(procedure=gates)
    run = write_run(tmp_path, puzzle_metadata(2, 3), config=config, stages=finished_stages()[:2])
    summary = summarize(run)
    assert (summary["status"], summary["verdict"]) == ("finished", "not judged")
    assert "no evaluation" in summary["verdict_reason"]
    assert all_passed(summary)


def test_interrupted_and_running_are_told_apart(tmp_path: Path) -> None:
    """The lock of a living process makes the difference, and neither passes."""
    cut, live = interrupted_run(tmp_path / "a"), interrupted_run(tmp_path / "b", locked=True)
    for run, status in ((cut, "interrupted"), (live, "running")):
        summary = summarize(run)
        assert summary["status"] == status
        assert summary["progress"]["epoch"] == 7
        assert summary["verdict"] == "not judged"
        assert summary["verdict_reason"] == f"the run is {status}"
        assert not all_passed(summary)


def test_cut_off_after_its_predictions_is_not_judged(tmp_path: Path) -> None:
    """Numbers that would meet every criterion give no verdict before the run has ended."""
    summary = summarize(classes_run(tmp_path, share_right=2.0, stages=finished_stages()[:3]))
    assert [c["met"] for c in summary["criteria"]] == [True, True]
    assert summary["verdict"] == "not judged"
    assert not all_passed(summary)


def test_an_open_criterion_is_no_success(tmp_path: Path) -> None:
    """Where the run evaluated, a criterion on a split that it left out keeps it from passing."""
    complete = classes_run(tmp_path / "a", share_right=2.0)
    run = classes_run(
        tmp_path / "b",
        config=config_of(criteria={"train/accuracy": "> 0.9", "test/accuracy": "> 0.9"}),
        predictions=[complete.predictions["train"]],
    )
    summary = summarize(run)
    assert [c["met"] for c in summary["criteria"]] == [True, None]
    assert summary["verdict"] == "not judged"
    assert not all_passed(summary)


def test_held_out_gap_is_train_minus_judged(tmp_path: Path) -> None:
    """With train, val and test the verdict is on test, and the gap is positive when train is."""
    summary = summarize(classes_run(tmp_path))
    train, test = (summary["metrics"][split]["accuracy"] for split in ("train", "test"))
    assert summary["judged_split"] == "test"
    assert summary["held_out_gap"]["gap"] == pytest.approx(train - test)


def test_regression_has_no_levels(tmp_path: Path) -> None:
    """Chance and majority are of classes; a regression is judged by rmse and r2 alone."""
    summary = summarize(position_run(tmp_path, 4, 5))
    assert summary["chance_accuracy"] is None
    assert summary["chance_loss"] is None
    assert [c["metric"] for c in summary["criteria"]] == ["rmse", "r2"]
    assert summary["verdict"] == "met"


def test_nan_meets_nothing_and_is_valid_json(tmp_path: Path) -> None:
    """A loss that is no number is null in the file and fails its criterion."""
    metadata = puzzle_metadata(2, 3)
    assert metadata.class_names is not None
    good = answers("train", np.arange(6), metadata.class_names, 1.0)
    broken = replace(good, probabilities=np.full((6, 6), np.nan, np.float32))
    config = config_of(criteria={"log_loss": "< 1"})
    run = write_run(
        tmp_path, metadata, config=config, stages=finished_stages(), predictions=[broken]
    )
    summary = summarize(run)
    assert summary["metrics"]["train"]["log_loss"] is None
    assert summary["criteria"][0]["met"] is False
    json.dumps(summary, allow_nan=False)


def test_recall_trusts_only_the_summary_of_an_ended_run(tmp_path: Path) -> None:
    """A stored summary of a finished run is handed back; one of a run since gone on is not."""
    run = puzzle_run(tmp_path, 2, 3)
    stored = {**summarize(run), "verdict": "as stored"}
    (run.path / "summary.json").write_text(json.dumps(stored))
    assert recall(Run(run.path)) == stored
    (run.path / "summary.json").write_text(json.dumps({**stored, "status": "interrupted"}))
    assert recall(Run(run.path))["verdict"] in ("met", "not met")


@pytest.mark.parametrize(
    "damage",
    [
        {"stages": []},
        {"stages": [{"stage": "train"}]},
        {"wall_seconds": math.nan},
        {"peak_memory_bytes": 10**30},
        {"verdict": None},
        {"intervals": {}},
        {"intervals": {"train": {"accuracy": 0}}},
        {"metrics": {"train": {"accuracy": "high"}}},
        {"criteria": [{"metric": "accuracy"}]},
        {"findings": [{"rule": "x"}]},
        {"levels": {"chance": 1.5, "constant": {}}},
    ],
    ids=lambda damage: f"{next(iter(damage))}={str(next(iter(damage.values())))[:20]}",
)
def test_a_stored_summary_of_another_shape_is_made_anew(
    tmp_path: Path, damage: dict[str, object]
) -> None:
    """A screen shows what a stranger's summary.json holds only where it can be shown."""
    run = puzzle_run(tmp_path, 2, 3)
    sound = summarize(run)
    (run.path / "summary.json").write_text(json.dumps({**sound, **damage}))
    assert recall(Run(run.path)) == sound


def test_a_criterion_that_was_not_measured_is_named_as_in_the_table(tmp_path: Path) -> None:
    """`> 99 %`, and not 0.99 beside it."""
    run = run_with_accuracy(tmp_path, 99, 100, "> 0.5")
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    config["criteria"]["top5_accuracy"] = "> 0.99"  # two classes have none
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    summary = summarize(Run(run.path))
    assert summary["verdict_reason"] == "not measured: train/top5_accuracy > 99 %"
    assert "| train/top5_accuracy > 99 % | not measured |" in criteria_table(summary)


@pytest.mark.parametrize(("weights", "is_chosen"), [("best", True), ("last", False)])
def test_the_last_epoch_was_chosen_by_no_split(
    tmp_path: Path, weights: str, is_chosen: bool
) -> None:
    """Val chooses the epoch whose best weights are evaluated, and none where the last ones are."""
    run = run_with_accuracy(tmp_path, 7, 8, None)
    metadata = json.loads((run.path / "dataset.json").read_text())
    metadata["splits"]["val"] = metadata["splits"]["train"]
    (run.path / "dataset.json").write_text(json.dumps(metadata))
    config = yaml.safe_load((run.path / "config.yaml").read_text())
    config["procedure"]["evaluate"]["weights"] = weights
    (run.path / "config.yaml").write_text(yaml.safe_dump(config))
    assert ("which also chose the epoch" in summarize(Run(run.path))["judged_on"]) == is_chosen
