"""All plots that the records of a run allow, in the order in which a reader wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from expkit.errors import UserError, nearest_of
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.run.reader import Run
from expkit.reports.formatting import samples_of
from expkit.reports.plots import style
from expkit.reports.plots.augmentation import MOSAIC, draw_mosaic, make_mosaic
from expkit.reports.plots.class_bars import draw_classes
from expkit.reports.plots.class_weights import draw_class_weights
from expkit.reports.plots.confident_errors import draw_confident_errors
from expkit.reports.plots.confusion import draw_confusion
from expkit.reports.plots.curves import draw_curves
from expkit.reports.plots.files import format_of
from expkit.reports.plots.heatmap import PiecePrediction, draw_grid, draw_heatmap
from expkit.reports.plots.latency import draw_latency
from expkit.reports.plots.position import draw_positions
from expkit.reports.plots.precision_recall import draw_precision_recall
from expkit.reports.plots.puzzle import Puzzle, draw_accuracy
from expkit.reports.plots.regression import draw_regression
from expkit.reports.plots.reliability import draw_reliability, draw_temperature
from expkit.reports.plots.risk_coverage import draw_risk_coverage
from expkit.reports.plots.threshold import draw_thresholds

NUM_SHOWN = 8
# what needs no images of the data, by the beginnings of its plots' names
DRAWS: Mapping[tuple[str, ...], Callable[[Run, Path], list[Path]]] = {
    ("curves",): draw_curves,
    ("class_weights",): draw_class_weights,
    ("confusion", "confused_pairs"): draw_confusion,
    ("classes",): draw_classes,
    ("precision_recall",): draw_precision_recall,
    ("reliability",): draw_reliability,
    ("risk_coverage",): draw_risk_coverage,
    ("calibration",): draw_temperature,
    ("threshold",): draw_thresholds,
    ("wrong",): draw_confident_errors,
    ("regression",): draw_regression,
    ("latency",): draw_latency,
}


def draw_plots(
    run: Run, folder: Path, *, snapshots: bool = True, plot_format: str | None = None
) -> list[Path]:
    """Draw everything into a folder; the records decide what there is to draw.

    Without `snapshots` only what the run came to in the end. The format is the run's own where
    none is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with style.styled(), style.in_format(plot_format or format_of(run.config)):
        return [
            *(path for draw in DRAWS.values() for path in draw(run, folder)),
            *draw_mosaic(run, folder, style.FORMAT.get()),
            *_draw_puzzles(run, folder, snapshots=snapshots),
        ]


def find_figure(run: Run, name: str) -> Figure:
    """Return the plot of that name, not written, or the last of those whose names begin with it."""
    figures = _make_figures(run, name)
    found = [each for each in figures if each == name or each.startswith(f"{name}_")]
    if found:
        return figures[name] if name in found else figures[found[-1]]
    known = list(_make_figures(run))
    raise UserError(
        f"'{run.name}' has no plot '{name}'",
        where=str(run.path),
        nearest=nearest_of(name, [*known, *(each.partition("_")[0] for each in known)]),
        allowed=", ".join(known) or "none: it has recorded nothing yet that can be drawn",
    )


def _make_figures(run: Run, name: str | None = None) -> dict[str, Figure]:
    """Make the plots that may have this name, by their own; without one all but the snapshots'."""
    with style.styled(), style.kept() as figures:
        for beginnings, draw in DRAWS.items():
            if name is None or name.startswith(beginnings):
                list(draw(run, Path()))
        if name in (None, MOSAIC) and (mosaic := make_mosaic(run)) is not None:
            figures[MOSAIC] = style.pixel_figure(*mosaic.size)
            figures[MOSAIC].figimage(np.asarray(mosaic))
        if name is None or name.startswith("puzzle"):
            list(_draw_puzzles(run, Path(), snapshots="_epoch_" in (name or "")))
    return figures


@dataclass(frozen=True)
class Shot:
    """Predictions for all samples of a puzzle at one time, with all probabilities of a few."""

    targets: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    shown: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]  # shown x classes

    @classmethod
    def of_predictions(cls, recorded: ClassPredictions) -> Shot:
        """The shown ones stand at equal distances: nobody chose them for their result."""
        shown = np.unique(np.linspace(0, len(recorded.targets) - 1, NUM_SHOWN).astype(np.int64))
        right = recorded.ranks == 0
        probabilities = recorded.probabilities[shown]
        return cls(recorded.targets, recorded.predictions, right, shown, probabilities)

    @classmethod
    def of_snapshot(cls, arrays: Mapping[str, Any]) -> Shot:
        targets, predictions = arrays["targets"], arrays["predictions"]
        right = predictions == targets
        return cls(targets, predictions, right, arrays["shown"], arrays["probabilities"])

    def pieces(self) -> list[PiecePrediction]:
        return [
            PiecePrediction(
                int(self.targets[sample]),
                int(self.predictions[sample]),
                bool(self.right[sample]),
                self.probabilities[number],
            )
            for number, sample in enumerate(self.shown)
        ]


def _draw_puzzles(run: Run, folder: Path, *, snapshots: bool) -> Iterator[Path]:
    layouts = run.dataset.layouts
    for number, (split, layout) in enumerate(layouts.items()):
        puzzle = Puzzle.load(run, layout)
        if puzzle is None:
            continue
        suffix = "" if len(layouts) == 1 else f"_{split}"
        where = samples_of(split, len(layout.cells))
        predictions = run.predictions.get(split)
        if isinstance(predictions, ClassPredictions):
            shot = Shot.of_predictions(predictions)
            yield from _draw_shot(puzzle, shot, (run.name, where), folder, suffix)
        elif isinstance(predictions, ValuePredictions) and tuple(predictions.target_names) == (
            "x",
            "y",
        ):
            path = folder / f"puzzle_position{suffix}.png"
            yield draw_positions(puzzle, predictions, f"{run.name}\npositions of {where}", path)
        if snapshots and number == 0 and run.dataset.task == "classification":
            for stage, epoch, arrays in run.snapshots():
                head = f"{run.name}, {stage}, epoch {epoch}", where
                end = f"{suffix}_{stage}_epoch_{epoch:04d}"
                yield from _draw_shot(puzzle, Shot.of_snapshot(arrays), head, folder, end)


def _draw_shot(
    puzzle: Puzzle, shot: Shot, head: tuple[str, str], folder: Path, suffix: str
) -> Iterator[Path]:
    """The three plots of the logs; two of them need classes that are the cells."""
    name, where = head
    title = f"{name}\n{where}"
    yield draw_accuracy(puzzle, shot.right, title, folder / f"puzzle_accuracy{suffix}.png")
    classes_are_cells = shot.probabilities.shape[1] == puzzle.rows * puzzle.columns
    if not (classes_are_cells and np.array_equal(shot.targets, puzzle.cells)):
        return
    pieces = shot.pieces()
    title = f"{name}\nwhere the model puts piece {shot.shown[0]} of {where}"
    yield draw_heatmap(puzzle, pieces[0], title, folder / f"puzzle_heatmap{suffix}.png")
    title = (
        f"{name}\n{len(pieces)} of {where}, at equal distances, beside their probabilities\n"
        "solid green: target, dashed orange: prediction where it is another"
    )
    yield draw_grid(puzzle, pieces, title, folder / f"puzzle_grid{suffix}.png")
