"""Which image a sweep gets, and the numbers that are put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib.axes
import numpy as np
import pytest
from synthetic_sweeps import FakeJob, write_sweep

from expkit.reports.plots import style
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.page import draw_sweep_plots
from expkit.reports.sweep.plots.axes import Objective, draw_levels, num_seeds, wants_log
from expkit.reports.sweep.plots.choice_of_plots import shape_of
from expkit.reports.sweep.plots.group_curves import _draw


def grid(axes: Mapping[str, Sequence[Any]], *, num_seeds: int = 1) -> list[FakeJob]:
    """A job each combination, the later the better."""
    found = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    return [
        FakeJob(words, 0.5 + 0.4 * number / len(found) + 0.01 * seed, seed)
        for number, words in enumerate(found)
        for seed in range(num_seeds)
    ]


RATES, MODELS = (1e-4, 1e-3, 1e-2), ("a", "b")
SHAPES = {
    "line": grid({"optimizer.lr": RATES}, num_seeds=3),
    "choices": grid({"model": MODELS}, num_seeds=2),
    "lines": grid({"model": MODELS, "optimizer.lr": RATES}, num_seeds=2),
    "heatmap": grid({"optimizer.lr": RATES, "optimizer.momentum": (0.0, 0.9)}),
    "scatter": [FakeJob({"x.a": n, "x.b": (7 * n) % 5 + n / 10}, 0.5, 0) for n in range(1, 8)],
    "parallel": grid({"model": MODELS, "optimizer.lr": RATES, "loss": MODELS}),
    "seeds": grid({}, num_seeds=4),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_has_its_picture(shape: str, tmp_path: Path) -> None:
    """One that answers, and the course of training; both are there."""
    outcome = SweepOutcome.of(write_sweep(tmp_path, SHAPES[shape]))
    assert shape_of(outcome.groups) == shape
    paths = draw_sweep_plots(outcome, tmp_path / "plots")
    assert [path.name for path in paths] == ["objective.png", "curves.png"]
    assert all(path.stat().st_size > 5000 for path in paths)


def test_a_grid_of_words_and_a_grid_full_of_choices_are_heatmaps(tmp_path: Path) -> None:
    """Two choices; a number and more choices than there are colours for lines."""
    both = grid({"model": MODELS, "loss": ("x", "y", "z")})
    many = grid({"model": "abcdefgh", "optimizer.lr": RATES})
    for name, jobs in {"1": both, "2": many}.items():
        assert shape_of(SweepOutcome.of(write_sweep(tmp_path, jobs, name)).groups) == "heatmap"


def test_one_figure_is_nothing_to_compare(tmp_path: Path) -> None:
    """A sweep of one job, and one of which all others failed, have a course alone."""
    jobs = [FakeJob({"model": "a"}, 0.5), FakeJob({"model": "b"}, None, 0, "raised")]
    outcome = SweepOutcome.of(write_sweep(tmp_path, jobs))
    paths = draw_sweep_plots(outcome, tmp_path / "plots")
    assert [path.name for path in paths] == ["curves.png"]


def drawn(jobs: Sequence[FakeJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The figures as they were before they became pixels, by the name of their file."""
    kept = {}
    monkeypatch.setattr(style, "save", lambda figure, path, **_: kept.setdefault(path.stem, figure))
    draw_sweep_plots(SweepOutcome.of(write_sweep(tmp_path, jobs)), tmp_path / "plots")
    return kept


def test_a_line_has_means_over_a_log_axis_and_the_chance_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rates over two decades, in percent, with the finding as the title."""
    jobs = [
        FakeJob({"optimizer.lr": rate}, accuracy + shift, seed)
        for rate, accuracy in {1e-2: 0.3, 1e-3: 0.9, 1e-4: 0.6}.items()
        for seed, shift in enumerate((-0.1, 0.1))
    ]
    figure = drawn(jobs, tmp_path, monkeypatch)["objective"]
    axes: matplotlib.axes.Axes = figure.axes[0]
    line = axes.lines[0]
    assert list(line.get_xdata()) == [1e-4, 1e-3, 1e-2]
    assert list(line.get_ydata()) == pytest.approx([60, 90, 30])
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "optimizer.lr"
    assert axes.get_ylabel() == "accuracy on held-out samples (val) in %"
    title = figure.get_suptitle()
    assert "best at 0.001 (90.00 ± 14.14 %)" in title
    assert "2 seeds each" in title
    texts = [text.get_text() for text in axes.texts]
    assert "chance 25.0 %" in texts
    assert "largest class 40.0 %" in texts


def test_choices_are_told_apart_on_an_axis_without_bars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """94 and 95 % lie far apart; there is no bar whose length the cut axis would exaggerate."""
    jobs = [
        FakeJob({"model": name}, share + shift, seed)
        for name, share in {"a": 0.94, "b": 0.95}.items()
        for seed, shift in enumerate((-0.002, 0.002))
    ]
    axes = drawn(jobs, tmp_path, monkeypatch)["objective"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert means == pytest.approx([95, 94])
    low, high = axes.get_xlim()
    assert (means[0] - means[1]) / (high - low) > 0.5
    assert not axes.patches


def test_the_fold_is_no_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds are draws of one recipe: a point each, their mean and a band, and none is marked."""
    jobs = [FakeJob({"dataset.fold": k}, 0.8 + k / 100, fold=(k, 3)) for k in range(3)]
    outcome = SweepOutcome.of(write_sweep(tmp_path, jobs))
    assert shape_of(outcome.groups) == "seeds"
    figure = drawn(jobs, tmp_path / "again", monkeypatch)["objective"]
    assert figure.axes[0].get_xlabel() == "held-out fold"
    assert "accuracy over 3 folds: 81.00 ± 1.00 %, 80.0 % to 82.0 %" in figure.get_suptitle()


def test_a_heatmap_has_its_figures_in_the_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of numbers the larger is higher up; a pair without a figure stays grey."""
    jobs = grid({"a.x": (1, 2, 3), "a.y": (4, 5)})[:-1]
    axes = drawn(jobs, tmp_path, monkeypatch)["objective"].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["5", "4"]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(0, 1): "50.0", (0, 0): "56.7", (1, 1): "63.3", (1, 0): "70.0", (2, 1): "76.7"}


def test_courses_are_means_over_seeds_and_those_behind_are_grey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best seven have colours and names."""
    jobs = grid({"model.width": range(1, 10)}, num_seeds=2)
    figure = drawn(jobs, tmp_path, monkeypatch)["curves"]
    axes = figure.axes[0]
    colors = [line.get_color() for line in axes.lines if len(line.get_xdata()) == 20]
    assert colors.count("#bbbbbb") == 2
    assert len(set(colors)) == 8
    assert "grey: the next 2" in figure.get_suptitle()


def test_a_band_of_accuracies_does_not_leave_0_to_100_percent() -> None:
    """Two seeds at 5 and 85 % have a std of 57 points, and no accuracy is below 0."""
    axes = style.new_figure(4, 3).add_subplot()
    curves = [np.array([5.0, 90.0]), np.array([85.0, 99.0])]
    _draw(axes, curves, "red", most=100.0, behind=False)
    (band,) = axes.collections
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == (0.0, 100.0)


def test_a_level_far_off_is_named_where_it_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The axis is not stretched by a chance that lies far below."""
    jobs = [FakeJob({"model.width": n}, 0.9 + 0.01 * n) for n in (1, 2, 3)]
    axes = drawn(jobs, tmp_path, monkeypatch)["objective"].axes[0]
    assert axes.get_ylim()[0] > 80
    assert axes.get_title(loc="left").startswith("↓ not in the plot: chance 25.0 %")


@pytest.mark.parametrize(("along", "level", "arrow"), [("x", 0.1, "←"), ("y", 0.99, "↑")])
def test_a_level_beyond_an_axis_is_named_above_the_picture(
    along: Any, level: float, arrow: str
) -> None:
    """No line, band or interval can cross it there; the ends of an axis are numpy's numbers."""
    axes = style.new_figure(4, 3).add_subplot()
    ends = list(np.array([50.0, 60.0]))
    draw_levels(axes, Objective("val/accuracy", {"chance": level}), ends, along=along)
    assert axes.get_title(loc="left").startswith(f"{arrow} not in the plot: chance")
    assert not axes.texts


def test_axes_say_what_they_show(tmp_path: Path) -> None:
    """Training figures are never unmarked; a loss has no percent."""
    assert Objective("train/accuracy").label == "accuracy on training samples in %"
    assert Objective("test/log_loss").label == "log_loss on held-out samples (test)"
    assert wants_log([1e-4, 1e-3])
    assert not wants_log([0.0, 1.0, 100.0])
    assert (
        num_seeds(SweepOutcome.of(write_sweep(tmp_path, SHAPES["heatmap"])).groups)
        == "one seed each"
    )
