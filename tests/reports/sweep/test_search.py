"""What is told of a search: how its trials fare, and which was the best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_runs import config_of, puzzle_metadata, write_run
from synthetic_sweeps import FakeJob, write_sweep

from expkit.errors import UserError
from expkit.metrics.names import for_choosing, refuse_unknown
from expkit.records.files import read_json, write_json
from expkit.records.sweep.folder import Sweep
from expkit.reports.runs.rows import read_jobs
from expkit.reports.sweep.caveats import selection
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.progress import SweepProgress
from expkit.reports.sweep.search import best_row, course, search_lines


def make_search(path: Path, **facts: str) -> Sweep:
    command = ["expkit", "train", "-m", "hydra/sweeper=optuna"]
    write_json(path / "sweep.json", {**read_json(path / "sweep.json"), "command": command, **facts})
    return Sweep(path)


TRIALS = [
    FakeJob({"lr": 0.1}, 0.7),
    FakeJob({"lr": 0.2, "launcher.jobs": 2}, 0.9),
    FakeJob({"lr": 0.3}, 0.99, status="pruned"),
    FakeJob({"lr": 0.4}, None, status="raised"),
]


def test_the_best_trial_is_named_with_the_command_to_repeat_it(tmp_path: Path) -> None:
    """A pruned one's figure is not a whole training's; how a sweep runs is no word of a run."""
    sweep = make_search(write_sweep(tmp_path, TRIALS))
    assert search_lines(sweep) == [
        "best     trial 1 of 4: val/accuracy 90.00 % (1 pruned, 1 failed)",
        "again    expkit train lr=0.2 seed=0",
    ]


def test_of_a_metric_that_is_better_lower_the_lowest_is_best(tmp_path: Path) -> None:
    """The first of equals."""
    rows = read_jobs(Sweep(write_sweep(tmp_path, [*TRIALS, FakeJob({"lr": 0.5}, 0.7)])))
    losses = [replace(row, metrics={"val": {"log_loss": row.figure("accuracy")}}) for row in rows]
    best = best_row(losses, "held_out/log_loss")
    assert best is not None
    assert best.number == 0


def test_a_search_without_any_figure_says_so(tmp_path: Path) -> None:
    """Nothing is called the best."""
    sweep = make_search(write_sweep(tmp_path, TRIALS), objective="val/log_loss")
    assert search_lines(sweep) == ["search   no trial of 4 has a figure for val/log_loss"]


def test_a_search_chooses_by_val_where_the_test_samples_judge(tmp_path: Path) -> None:
    """The trial that is best on test is not the best; what the best is worth there is said."""
    path = write_sweep(tmp_path, TRIALS)
    for run, at in (("20260101_000000_net", 0.99), ("20260101_000001_net", 0.8)):
        record = read_json(path / run / "digest.json")
        metrics = {**record["metrics"], "test": {"accuracy": at}}
        write_json(
            path / run / "digest.json", {**record, "judged_split": "test", "metrics": metrics}
        )
    sweep = make_search(path)
    assert search_lines(sweep)[0].startswith("best     trial 1 of 4: val/accuracy 90.00 %")
    outcome = SweepOutcome.of(path)
    assert outcome.headline().startswith("Best: lr=0.2, jobs=2: val/accuracy 90.00 %")
    assert selection(outcome.groups, outcome.objective) == [
        "The best, judged on test, by which nothing was chosen: test/accuracy 80.00 %, 50 samples."
    ]


def test_a_sweep_by_the_test_samples_is_refused() -> None:
    """Without a split or on the held-out ones, it is val that chooses, where there is one."""
    assert for_choosing("accuracy") == for_choosing("held_out/accuracy") == "choosing/accuracy"
    assert for_choosing("train/recall[a/b]") == "train/recall[a/b]"
    with pytest.raises(UserError, match="leaves none to judge") as caught:
        refuse_unknown("test/accuracy")
    refuse_unknown(caught.value.details["do"].split()[0].removeprefix("sweep.objective="))


def test_the_first_trial_is_told_by_what_is_searched(tmp_path: Path) -> None:
    """No other is planned yet that it could differ from; what the command fixes is not told."""
    path = write_sweep(tmp_path, [FakeJob({"optimizer.lr": 0.1, "batch_size": 8})])
    command = ["expkit", "train", "-m", "hydra/sweeper=optuna"]
    words = [*command, "optimizer.lr=interval(0,1)", "batch_size=8"]
    write_json(path / "sweep.json", {**read_json(path / "sweep.json"), "command": words})
    progress = SweepProgress(path)
    progress.read_plan()
    (job,) = progress.jobs.values()
    assert progress.label(job) == "#0 lr=0.1"


def test_other_sweeps_are_no_searches(tmp_path: Path) -> None:
    """Their tables say which job is the best."""
    sweep = Sweep(write_sweep(tmp_path, TRIALS))
    assert search_lines(sweep) == []


FACTS = puzzle_metadata(1, 2)
WITH_VAL = replace(FACTS, splits={"train": FACTS.splits["train"], "val": FACTS.splits["train"]})
RECORDS = [
    {"stage": "overfit_1", "epoch": 1, "train/loss": 9.0, "train/accuracy": 0.0},
    {"stage": "train", "epoch": 1, "train/loss": 2.0, "val/loss": 3.0, "val/accuracy": 0.3},
    {"stage": "train", "epoch": 2, "train/loss": 1.0, "val/loss": 2.5, "val/accuracy": 0.6},
]


@pytest.mark.parametrize(
    ("objective", "values"),
    [
        ("held_out/accuracy", [0.3, 0.6]),
        ("test/macro_f1", [0.3, 0.6]),  # not measured an epoch: accuracy stands nearest
        ("held_out/log_loss", [3.0, 2.5]),
        ("train/loss", [2.0, 1.0]),
        ("train/accuracy", []),  # nothing on that side is measured of this split
    ],
)
def test_the_course_is_that_of_the_metric_or_of_what_stands_nearest(
    objective: str, values: list[float], tmp_path: Path
) -> None:
    """Better on the same side, of the monitored split, without the gates."""
    run = write_run(tmp_path, WITH_VAL, config=config_of(), history=RECORDS)
    assert course(run, objective) == values
