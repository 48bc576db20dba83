"""Where a model that returns a position puts each piece of a puzzle."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap

from expkit.metrics.predictions import ValuePredictions
from expkit.reports.plots import style
from expkit.reports.plots.puzzle import Floats, Puzzle, framed, show

COLORS = ListedColormap(mpl.colormaps["plasma"](np.linspace(0, 0.85, 256)))


def in_cells(values: Floats, targets: Floats, places: Floats, count: int) -> Floats:
    """Values of one axis in columns or rows, whatever unit the targets are in.

    The targets stand on a straight line over the places that they name; with a single place no
    line can be found, and the values are taken as fractions of the image.
    """
    centred = targets - targets.mean()
    if not (centred**2).sum() > 0:
        return values * count - 0.5
    slope = (centred * (places - places.mean())).sum() / (centred**2).sum()
    return np.asarray(places.mean() + slope * (values - targets.mean()))


def draw_positions(puzzle: Puzzle, predictions: ValuePredictions, title: str, path: Path) -> Path:
    """An arrow from the true to the predicted place of every piece, coloured by its length."""
    columns, rows = puzzle.cells % puzzle.columns, puzzle.cells // puzzle.columns
    targets = predictions.targets.astype(np.float64)
    predicted = predictions.predictions.astype(np.float64)
    x = in_cells(predicted[:, 0], targets[:, 0], columns.astype(np.float64), puzzle.columns)
    y = in_cells(predicted[:, 1], targets[:, 1], rows.astype(np.float64), puzzle.rows)
    errors = np.hypot(x - columns, y - rows)
    known = np.isfinite(errors)
    middle = f"{np.median(errors[known]):.2f} cells" if known.any() else "not finite"
    title = f"{title}\nmedian error {middle}; arrows lead from the true to the predicted place"
    figure, axes = framed(puzzle, title, legend=True)
    show(axes, puzzle, 128 + puzzle.dimmed() // 2)
    arrows = axes.quiver(
        columns[known],
        rows[known],
        (x - columns)[known],
        (y - rows)[known],
        errors[known],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=2.2,
        units="dots",
        cmap=COLORS,
    )
    width, height = figure.get_size_inches() * style.DPI
    bar_axes = style.pixel_axes(figure, int(width) // 2 - 40, int(height) - 36, 230, 12)
    figure.colorbar(arrows, cax=bar_axes, orientation="horizontal")
    left = (width / 2 - 50) / width
    figure.text(left, 30 / height, "error in cells", ha="right", va="center", fontsize=10)
    return style.save(figure, path)
