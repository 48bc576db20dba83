"""Intervals of 95 %: by hand, by theory, and in the words of a report."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from synthetic_predictions import PITS
from synthetic_runs import answers, classes_run, config_of

from expkit.metrics.intervals import bootstrap, wilson
from expkit.metrics.predictions import ValuePredictions
from expkit.metrics.resampling import intervals_of
from expkit.reports.formatting import interval
from expkit.reports.run.run_screen import closing_screen
from expkit.reports.run.summary import summarize
from expkit.reports.run.summary_tables import criteria_table


def test_wilson_of_the_cherries() -> None:
    """94.21 % of 1226 might as well be 92.8 or 95.4 %."""
    low, high = wilson(1155, 1226) or (0, 0)
    assert (100 * low, 100 * high) == pytest.approx((92.76, 95.38), abs=0.01)
    assert interval("accuracy", (low, high)) == "92.8 to 95.4 %"


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [(8, 10, (0.4902, 0.9433)), (10, 10, (0.7225, 1)), (0, 10, (0, 0.2775)), (1, 1, (0.2065, 1))],
)
def test_wilson_by_hand(count: int, total: int, expected: tuple[float, float]) -> None:
    """The textbook's 8 of 10, and both ends, where the normal interval would be a point."""
    assert wilson(count, total) == pytest.approx(expected, abs=1e-4)


def test_nothing_has_no_interval() -> None:
    """No samples, no share."""
    assert wilson(0, 0) is None


def test_bootstrap_of_a_mean_agrees_with_theory() -> None:
    """Of 400 normal numbers: the mean, give or take 1.96 / 20 of their spread."""
    values = np.random.default_rng(0).normal(0, 1, 400)
    found = bootstrap(400, lambda weights: {"mean": weights @ values / 400})["mean"]
    half = 1.96 * values.std() / 20
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.015)


def test_bootstrap_is_the_same_each_time_and_says_nothing_of_the_constant() -> None:
    """Seeded; a figure that no resample changes is not certain, so it has no interval."""
    twice = [intervals_of(PITS) for _ in range(2)]
    assert twice[0] == twice[1]
    assert not bootstrap(5, lambda weights: {"one": np.ones(len(weights))})


def test_too_many_samples_have_no_resampled_interval() -> None:
    """Rather none than a report that takes minutes."""

    def never(weights: np.ndarray) -> dict[str, np.ndarray]:
        raise AssertionError

    assert bootstrap(60_000, never) == {}
    assert bootstrap(6_000, never, cost=10) == {}


def test_every_figure_lies_in_its_interval() -> None:
    """Classification and regression; only the calibration error has none."""
    made = answers("val", np.repeat(np.arange(10), 30), [str(i) for i in range(10)], 0.8)
    random = np.random.default_rng(0)
    targets = random.normal(size=(200, 2)).astype(np.float32)
    predicted = targets + random.normal(scale=0.3, size=(200, 2)).astype(np.float32)
    values = ValuePredictions("val", [str(i) for i in range(200)], targets, predicted, ["x", "y"])
    from expkit.metrics.classification import measure

    for predictions in (made, values):
        found, figures = intervals_of(predictions), measure(predictions)
        assert set(figures) - set(found) == {"calibration_error", "aurc"} & set(figures)
        for name, (low, high) in found.items():
            assert low < figures[name] < high


def test_intervals_are_quick() -> None:
    """The cherries' 1226 samples in half a second of processor time, and 950 classes in 0.3 s."""
    cherries = answers("val", np.arange(1226) % 2, ["clean", "pit"], 0.94)
    pieces = answers("train", np.arange(950), [str(i) for i in range(950)], 0.96)
    for predictions, seconds in ((cherries, 0.5), (pieces, 0.3)):
        started = time.process_time()
        intervals_of(predictions)
        assert time.process_time() - started < seconds


def test_a_verdict_within_the_noise_is_called_so(tmp_path: Path) -> None:
    """The bound lies in the interval: another draw of samples might turn the verdict."""
    criteria = {"accuracy": "> 0.93", "recall[3]": "> 0.05", "auroc": "> 0.6"}
    summary = summarize(classes_run(tmp_path, config=config_of(criteria=criteria)))
    by_metric = {c["metric"]: c for c in summary["criteria"]}
    low, high = by_metric["accuracy"]["interval"]
    assert low <= 0.93 <= high
    assert by_metric["recall[3]"]["num_samples"] == 20
    assert by_metric["recall[3]"]["met"]
    text = criteria_table(summary)
    assert text.count("within the noise") == 1
    assert "but within the noise of 200 samples" in text
    screen = closing_screen(summary, tmp_path)
    assert "within the noise of 200 samples" in screen
    assert "measured on held-out samples: test, 200 (95 % intervals)" in screen


def test_the_next_command_names_a_folder_with_spaces_as_a_shell_takes_it(tmp_path: Path) -> None:
    """The words after `next` lead back to the folder, whatever it is called."""
    path = tmp_path / "my run (2)"
    path.mkdir()
    summary = summarize(classes_run(path, config=config_of()))
    screen = closing_screen({**summary, "status": "interrupted"}, path)
    line = next(each for each in screen.splitlines() if each.startswith("  next"))
    assert Path(shlex.split(line)[-1]).resolve() == path
