"""The closing screen: short, narrow, and never rounded to the good side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_runs import (
    classes_run,
    failed_gate_run,
    interrupted_run,
    position_run,
    puzzle_run,
)

from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.run.run_screen import closing_screen
from expkit.reports.run.summary import summarize
from expkit.reports.run.summary_tables import metrics_table


def screen_of(run: Run) -> str:
    return closing_screen(summarize(run), run.path)


@pytest.mark.parametrize(
    "write", [puzzle_run, classes_run, position_run, failed_gate_run, interrupted_run]
)
def test_fits_a_terminal(tmp_path: Path, write: object) -> None:
    """At most 24 lines, and only names, paths and commands are wider than 90 columns."""
    assert callable(write)
    lines = screen_of(write(tmp_path)).splitlines()
    assert len(lines) <= 24
    wide = ("folder", "next", "expkit ")
    assert all(len(line) <= 90 for line in lines if not line.strip().startswith(wide))


def test_says_where_it_was_measured_and_what_chance_is(tmp_path: Path) -> None:
    """A training figure never stands without saying that it is one."""
    text = screen_of(puzzle_run(tmp_path))
    assert "measured on the training samples: there is no held-out split" in text
    assert "chance 0.11 %, largest class 0.11 %" in text


def test_says_so_where_a_model_is_no_better_than_one_that_never_looks(tmp_path: Path) -> None:
    """Log 3 called 36 % "close to random guessing": it was below the largest class."""
    run = classes_run(tmp_path)
    summary = {**summarize(run), "majority_accuracy": 0.4392}
    told = "no better than always predicting the largest class, 43.92 %"
    for accuracy, is_told in ((0.36, True), (0.4392, True), (0.44, False)):
        judged = {summary["judged_split"]: {"accuracy": accuracy}}
        text = closing_screen({**summary, "metrics": judged}, run.path)
        assert (told in text) == is_told


def test_interrupted_says_how_to_go_on(tmp_path: Path) -> None:
    """The next command is resume, and the last figures are there."""
    run = interrupted_run(tmp_path)
    text = screen_of(run)
    assert "interrupted after epoch 7 of train" in text
    assert f"expkit resume {run.path}" in text
    assert "train/loss" in text


def test_next_command_finds_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name in the usual place, by its path elsewhere: the command works as it stands."""
    monkeypatch.chdir(tmp_path)
    usual, elsewhere = interrupted_run(Path("outputs")), interrupted_run(Path("other"))
    assert screen_of(usual).endswith(f"expkit resume {usual.name}")
    assert screen_of(elsewhere).endswith(f"expkit resume other/{elsewhere.name}")


def test_live_run_says_so(tmp_path: Path) -> None:
    """A run that another process writes is shown as running, with its epoch."""
    text = screen_of(interrupted_run(tmp_path, locked=True))
    assert "running, epoch 7 of train" in text
    assert "resume" not in text


def test_failed_gate_gives_its_whole_reason(tmp_path: Path) -> None:
    """By how much a gate failed is not cut off."""
    words = " ".join(screen_of(failed_gate_run(tmp_path)).split())
    assert "FAIL overfit_10" in words
    assert "accuracy 10.00 %, not 100 %" in words


@pytest.mark.parametrize(
    ("value", "relation", "bound", "met", "text"),
    [
        (0.9421, ">=", 0.945, False, "94.21 %"),
        (0.94499999, ">=", 0.945, False, "94.499999 %"),
        (0.95, ">", 0.95, False, "95.00 %"),
        (0.9500001, ">", 0.95, True, "95.00001 %"),
        (0.57, ">=", 0.57, True, "57.00 %"),
    ],
)
def test_figure_judges_as_the_number_does(
    value: float, relation: str, bound: float, met: bool, text: str
) -> None:
    """Digits are added until the rounded figure gives the same verdict as the true one."""
    criterion = {
        "metric": "accuracy",
        "relation": relation,
        "bound": bound,
        "value": value,
        "met": met,
    }
    assert formatting.reached(criterion) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.00 %"), (0.99999, "99.999 %"), (0.0, "0.00 %"), (0.00001, "0.001 %")],
)
def test_percent_keeps_nearly_from_all(share: float, text: str) -> None:
    """Nearly all right does not read as all right."""
    assert formatting.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.50 s"), (59.96, "1 min 00 s"), (245, "4 min 05 s"), (11220, "3 h 07 min")],
)
def test_duration_reads_like_a_clock(seconds: float, text: str) -> None:
    """No 60 seconds, and no seconds beside hours."""
    assert formatting.duration(seconds) == text


def test_show_of_a_running_run_imports_nothing_heavy(tmp_path: Path) -> None:
    """Without predictions to read, neither pandas nor matplotlib nor torch is imported."""
    run = interrupted_run(tmp_path)
    code = (
        "import sys; from pathlib import Path; from expkit.records.run.reader import Run;"
        "from expkit.reports.run.summary import recall;"
        "from expkit.reports.run.run_screen import *;"
        f"run = Run(Path({str(run.path)!r})); closing_screen(recall(run), run.path);"
        "heavy = {'pandas', 'matplotlib', 'numpy', 'torch'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_that_chance_nearly_reaches_is_not_shown(tmp_path: Path) -> None:
    """Top-5 accuracy of six classes is 83 % by chance; where a criterion asks, it is shown."""
    run = puzzle_run(tmp_path, 2, 3)
    summary = summarize(run)
    assert summary["levels"]["chance"]["top5_accuracy"] == pytest.approx(5 / 6)
    assert "top5_accuracy  " in closing_screen(summary, run.path)
    unasked = {**summary, "criteria": []}
    assert "top5_accuracy  " not in closing_screen(unasked, run.path)
    assert "top5_accuracy" not in metrics_table(unasked)
    assert "top5_accuracy" in metrics_table(summary)


def test_one_sample_is_said_in_the_singular() -> None:
    """Of those that are surely predicted, and of those that a verdict rests on."""
    sure = {"num_sure": 1, "num_samples": 24, "accuracy": None, "label": "maybe"}
    sure |= {"coverage": 1 / 24, "coverage_interval": [0.007, 0.202]}
    (told,) = formatting.beside_metrics({"judged_split": "val", "sure": {"val": sure}})
    assert told.startswith("1 of 24 samples is predicted surely: coverage 4.17 % (0.7 to 20.2 %)")
    criterion = {"metric": "accuracy", "bound": 0.5, "met": True, "interval": [0.2, 1.0]}
    noise = formatting.noise_of({**criterion, "num_samples": 1})
    assert noise == "but within the noise of 1 sample: 20.0 to 100 %"
