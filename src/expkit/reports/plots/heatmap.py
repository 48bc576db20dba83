"""Where a model thinks that a piece belongs: its probabilities laid over the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from expkit.reports.plots import style
from expkit.reports.plots.puzzle import Puzzle, blend, framed, show

# neither green nor red, which the borders are, and never as pale as the image
COLORS = ListedColormap(mpl.colormaps["BuPu"](np.linspace(0.3, 1, 256)))
GAMMA = 0.5  # lets the runners-up be seen beside a confident prediction


@dataclass(frozen=True)
class PiecePrediction:
    """One piece with its true and predicted cell and the probability of every cell."""

    target: int
    prediction: int
    right: bool
    probabilities: npt.NDArray[np.float32]

    @property
    def most(self) -> float:
        """The highest probability; 1 where none is a number, as nothing can be scaled by it."""
        known = self.probabilities[np.isfinite(self.probabilities)]
        return max(float(known.max(initial=0)), 1e-6) if len(known) else 1.0


def caption(puzzle: Puzzle, shown: PiecePrediction) -> str:
    """`T:(col,row) P:(col,row) OK`, as the logs write it."""
    target, predicted = puzzle.place(shown.target), puzzle.place(shown.prediction)
    mark = "OK" if shown.right else "X"
    return f"T:({target[0]},{target[1]}) P:({predicted[0]},{predicted[1]}) {mark}"


def _overlay(puzzle: Puzzle, shown: PiecePrediction, thin: int = 1) -> style.Pixels:
    """The dimmed image, covered in each cell the more the more probable that cell is."""
    scaled = np.nan_to_num(shown.probabilities / shown.most).reshape(puzzle.rows, puzzle.columns)
    weights = np.clip(scaled, 0, 1) ** GAMMA
    colors = puzzle.enlarge(255 * COLORS(weights)[..., :3])[::thin, ::thin]
    opacity = puzzle.enlarge(np.clip(1.6 * weights, 0, 0.8)[..., None])[::thin, ::thin]
    return blend(puzzle.dimmed()[::thin, ::thin], colors, opacity)


def _frame(axes: Axes, puzzle: Puzzle, cell: int, color: str, line: Any, width: float) -> None:
    """A border around a cell with a light one around it, to be seen on dark and light."""
    column, row = puzzle.place(cell)
    for edge, thickness, dashes in (("white", 2.2 * width, "-"), (color, width, line)):
        axes.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                fill=False,
                edgecolor=edge,
                linewidth=thickness,
                linestyle=dashes,
                clip_on=False,
            )
        )


def _frames(axes: Axes, puzzle: Puzzle, shown: PiecePrediction, width: float) -> None:
    if not shown.right:
        _frame(axes, puzzle, shown.prediction, style.RED, (0, (2, 1)), width)
    _frame(axes, puzzle, shown.target, style.GREEN, "-", width)


def draw_heatmap(puzzle: Puzzle, shown: PiecePrediction, title: str, path: Path) -> Path:
    """The probabilities of one piece over the whole image."""
    figure, axes = framed(puzzle, f"{title}\n{caption(puzzle, shown)}", legend=True)
    show(axes, puzzle, _overlay(puzzle, shown))
    _frames(axes, puzzle, shown, 2.2)
    own = shown.probabilities[shown.target]
    handles = [Line2D([], [], color=style.GREEN, lw=2.2, label=f"target ({own:.3g})")]
    if not shown.right:
        sure = shown.probabilities[shown.prediction]
        label = f"prediction ({sure:.3g})"
        handles.append(Line2D([], [], color=style.RED, lw=2.2, ls=(0, (2, 1)), label=label))
    width, height = figure.get_size_inches() * style.DPI
    figure.legend(handles=handles, loc="lower left", ncols=2, fontsize=10)
    bar_axes = style.pixel_axes(figure, int(width) - 300, int(height) - 36, 230, 12)
    scale = ScalarMappable(PowerNorm(GAMMA, 0, shown.most), COLORS)
    bar = figure.colorbar(scale, cax=bar_axes, orientation="horizontal")
    ticks = [0, shown.most / 10, shown.most]
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.ax.minorticks_off()
    figure.text(1 - 310 / width, 30 / height, "probability", ha="right", va="center", fontsize=10)
    return style.save(figure, path)


PANEL_WIDTH, GAP, CAPTION = 240, 14, 24


def draw_grid(puzzle: Puzzle, pieces: Sequence[PiecePrediction], title: str, path: Path) -> Path:
    """Up to 8 pieces, two rows of four, each beside its probabilities."""
    rows = 2 if len(pieces) > 4 else 1
    columns = min(4, len(pieces))
    whole_height, whole_width = puzzle.image.shape[:2]
    tall = int(np.clip(PANEL_WIDTH * whole_height / whole_width, 6, PANEL_WIDTH))
    side = 90
    high = max(tall, side)
    pair = side + 6 + PANEL_WIDTH + GAP
    width = max(columns * pair + GAP, 640)
    lines = style.wrapped(title, (width - 40) / style.DPI)
    top = 16 + 19 * (lines.count("\n") + 1)
    figure = style.pixel_figure(width, top + rows * (high + CAPTION + GAP) + 4)
    figure.text(0.5, 1 - 10 / figure.get_size_inches()[1] / style.DPI, lines, ha="center", va="top")
    thin = max(1, min(puzzle.cell_height, whole_width // PANEL_WIDTH))
    for number, shown in enumerate(pieces):
        left = GAP + number % columns * pair
        upper = top + CAPTION + number // columns * (high + CAPTION + GAP)
        piece_axes = style.pixel_axes(figure, left, upper + (high - side) // 2, side, side)
        piece_axes.imshow(puzzle.piece(shown.target), interpolation="bilinear")
        map_axes = style.pixel_axes(
            figure, left + side + 6, upper + (high - tall) // 2, PANEL_WIDTH, tall
        )
        show(map_axes, puzzle, _overlay(puzzle, shown, thin))
        _frames(map_axes, puzzle, shown, 1.4)
        color = style.GREEN if shown.right else style.RED
        map_axes.set_title(
            caption(puzzle, shown), fontsize=10, color=color, pad=5, fontweight="bold"
        )
        for axes in (piece_axes, map_axes):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
    return style.save(figure, path)
