"""The images: which are drawn from which records, and what stands in them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from synthetic_runs import (
    answers,
    classes_run,
    failed_gate_run,
    finished_stages,
    interrupted_run,
    landscape,
    position_run,
    puzzle_metadata,
    puzzle_run,
    train_history,
    write_run,
)

from expkit.metrics.confusions import confused_pairs, count_confusions
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.metadata import Layout, SplitMetadata
from expkit.records.run.reader import Run
from expkit.reports.plots.curves import draw_curves
from expkit.reports.plots.gallery import draw_plots
from expkit.reports.plots.heatmap import PiecePrediction, caption
from expkit.reports.plots.position import in_cells
from expkit.reports.plots.puzzle import Puzzle, draw_accuracy
from expkit.reports.plots.style import wrapped


def names_of(run: Run, tmp_path: Path) -> list[str]:
    return [path.stem for path in draw_plots(run, tmp_path / "plots")]


def test_puzzle_run_has_every_picture_in_order(tmp_path: Path, unrendered: None) -> None:
    """Curves a stage, confusion, then the logs' three images, at the end and at epoch 1."""
    assert names_of(puzzle_run(tmp_path), tmp_path) == [
        "curves_overfit_1",
        "curves_overfit_10",
        "curves_train",
        "confused_pairs",
        "reliability",
        "risk_coverage",
        "puzzle_accuracy",
        "puzzle_heatmap",
        "puzzle_grid",
        "puzzle_accuracy_train_epoch_0001",
        "puzzle_heatmap_train_epoch_0001",
        "puzzle_grid_train_epoch_0001",
    ]


def seconds_of(draw: Callable[[], object]) -> float:
    started = time.process_time()
    draw()
    return time.process_time() - started


def draw_plain(path: Path) -> None:
    """A figure of four axes and one line each: the unit that the images are timed in."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    for axes in figure.subplots(2, 2).flat:
        axes.plot(range(100))
    figure.savefig(path, dpi=120)


@pytest.mark.slow
def test_puzzle_pictures_are_quick_and_small(tmp_path: Path) -> None:
    """Ten images of 950 classes take the time of 60 plain figures at most, and 1.5 MB each."""
    run = puzzle_run(tmp_path)
    draw_plain(tmp_path / "first.png")
    plain = min(seconds_of(lambda: draw_plain(tmp_path / "plain.png")) for _ in range(3))
    assert seconds_of(lambda: draw_plots(run, tmp_path / "plots")) < 60 * plain
    sizes = [path.stat().st_size for path in (tmp_path / "plots").iterdir()]
    assert len(sizes) >= 10
    assert max(sizes) < 1_500_000


def test_few_classes_give_a_matrix(tmp_path: Path, unrendered: None) -> None:
    """Up to 50 classes are a matrix; 51 are pairs."""
    assert "confusion" in names_of(classes_run(tmp_path / "a"), tmp_path)
    many = classes_run(tmp_path / "b", [f"class {i}" for i in range(51)], per_class=2)
    assert "confused_pairs" in names_of(many, tmp_path)


def test_regression_has_arrows_and_a_scatter(tmp_path: Path) -> None:
    """A position target is drawn over the image, and has no confusion."""
    names = names_of(position_run(tmp_path, 4, 5), tmp_path)
    assert names == ["curves_train", "regression", "puzzle_position"]


def test_run_without_predictions_has_curves_alone(tmp_path: Path, unrendered: None) -> None:
    """What was not recorded is not drawn, and no error comes of it."""
    assert names_of(failed_gate_run(tmp_path / "a"), tmp_path) == [
        "curves_overfit_1",
        "curves_overfit_10",
    ]
    assert names_of(interrupted_run(tmp_path / "b"), tmp_path)[-1] == "curves_train"


@pytest.mark.broad(1)
@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (3, 200), (2, 3)])
def test_any_grid_is_drawn(tmp_path: Path, rows: int, columns: int) -> None:
    """Very flat and very small puzzles have their images as well."""
    names = names_of(puzzle_run(tmp_path, rows, columns, snapshot_epochs=()), tmp_path)
    assert "puzzle_grid" in names


@pytest.mark.broad(2)
@pytest.mark.parametrize("loss", [math.nan, math.inf, 0.0])
def test_losses_that_a_log_axis_cannot_show(tmp_path: Path, loss: float) -> None:
    """Not a number, infinite and zero draw without a warning, all epochs or the last ones."""
    for first in (0, 12):
        history = train_history(20, 2.3, held_out=True)
        for record in history[first:]:
            record["train/loss"] = loss
        run = classes_run(tmp_path / str(first), history=history)
        (path,) = draw_curves(run, tmp_path)
        assert path.stem == "curves_train"


def test_names_with_dollars_and_no_glyphs(tmp_path: Path) -> None:
    """A class called "$5" is no formula, and one that the font lacks is no warning."""
    run = classes_run(tmp_path, ["$5", "a_$^{", "漢字", "x" * 80])
    assert "confusion" in names_of(run, tmp_path)


def test_two_splits_have_pictures_of_their_own(tmp_path: Path, unrendered: None) -> None:
    """Names tell the splits apart; four classes on many cells have no heatmap."""
    turns = np.tile(np.arange(4), 6)
    cells = tuple(np.repeat(np.arange(6), 4).tolist())
    names = ("0", "90", "180", "270")
    split = SplitMetadata(24, (6,) * 4, "x")
    metadata = replace(
        puzzle_metadata(2, 3),
        class_names=names,
        splits={"train": split, "val": split},
        layouts={"train": Layout("a.jpg", 2, 3, cells), "val": Layout("b.jpg", 2, 3, cells)},
    )
    run = write_run(
        tmp_path,
        metadata,
        stages=finished_stages(),
        predictions=[answers(name, turns, names, 0.7) for name in ("train", "val")],
        picture=landscape(64, 96),
    )
    drawn = names_of(run, tmp_path)
    assert [name for name in drawn if name.startswith("puzzle")] == [
        "puzzle_accuracy_train",
        "puzzle_accuracy_val",
    ]


def test_accuracy_map_colours_the_right_cells(tmp_path: Path) -> None:
    """In a puzzle of two cells the right one is greener than red and the wrong one the reverse."""
    grey = np.full((260, 520, 3), 128, np.uint8)
    puzzle = Puzzle(grey, grey, 1, 2, np.array([0, 1]))
    path = draw_accuracy(puzzle, np.array([True, False]), "two cells", tmp_path / "map.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    # the image stands in the middle; look a little inside its left and right ends
    middle = pixels.shape[0] // 2
    left, right = (pixels.shape[1] - 520) // 2 + 20, (pixels.shape[1] + 520) // 2 - 20
    assert pixels[middle, left, 1] > pixels[middle, left, 0]
    assert pixels[middle, right, 0] > pixels[middle, right, 1]


def test_caption_is_that_of_the_logs() -> None:
    """Column first, then row, and OK or X."""
    pixels = np.zeros((250, 380, 3), np.uint8)
    puzzle = Puzzle(pixels, pixels, 25, 38, np.arange(950))
    table = np.zeros(950, np.float32)
    assert caption(puzzle, PiecePrediction(40, 40, True, table)) == "T:(2,1) P:(2,1) OK"
    assert caption(puzzle, PiecePrediction(40, 79, False, table)) == "T:(2,1) P:(3,2) X"


def hand_made(targets: list[int], predictions: list[int]) -> ClassPredictions:
    num_samples = len(targets)
    table = np.full((num_samples, 3), 0.1, np.float32)
    table[np.arange(num_samples), predictions] = np.linspace(0.5, 0.9, num_samples)
    return ClassPredictions(
        "val",
        [str(i) for i in range(num_samples)],
        np.array(targets),
        np.array(predictions),
        np.array([int(t != p) for t, p in zip(targets, predictions, strict=True)]),
        table,
        ["a", "b", "c"],
    )


def test_confusions_are_counted_true_by_predicted() -> None:
    """A row is a true class; the most frequent mistake comes first, then the surest."""
    made = hand_made([0, 0, 0, 1, 2, 2], [0, 1, 1, 2, 0, 2])
    assert count_confusions(made).tolist() == [[1, 2, 0], [0, 0, 1], [1, 0, 1]]
    pairs = [(pair.true, pair.predicted, pair.count) for pair in confused_pairs(made)]
    assert pairs == [(0, 1, 2), (2, 0, 1), (1, 2, 1)]


def test_positions_are_put_into_cells_whatever_their_unit() -> None:
    """Shares of the image, pixels, or one column alone all lead to the same places."""
    places = np.array([0.0, 1.0, 2.0, 3.0])
    for scale, offset in ((0.25, 0.125), (64.0, 32.0), (-2.0, 1.0)):
        targets = places * scale + offset
        moved = in_cells(targets + scale / 2, targets, places, 4)
        assert moved == pytest.approx(places + 0.5)
    alone = np.full(3, 0.5)
    assert in_cells(alone, alone, np.zeros(3), 1) == pytest.approx(np.zeros(3))


def test_long_names_break_where_words_end() -> None:
    """A name without spaces is broken at an underscore, and nothing is lost."""
    name = "20260101_120000_" + "_".join(["setting"] * 20)
    lines = wrapped(name, 4).split("\n")
    assert len(lines) > 1
    assert "".join(lines) == name
    assert all(line.endswith("_") for line in lines[:-1])
