"""The accuracy map: an image that was cut into pieces, each marked right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from expkit.records.run.metadata import Layout
from expkit.records.run.reader import Run
from expkit.reports.formatting import percent
from expkit.reports.plots import style

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MAX_WIDTH, MAX_HEIGHT, MAX_CELL = 1290, 900, 260
RIGHT_TINT, WRONG_TINT = 0.1, 0.65  # how much of a mark's colour lies over the image
FRACTION = LinearSegmentedColormap.from_list("fractions", [style.RED, "#F4EFE0", style.GREEN])


@dataclass(frozen=True)
class Puzzle:
    """An image resized so that each cell takes a whole number of pixels."""

    original: style.Pixels
    image: style.Pixels  # rows * cell_height x columns * cell_width x 3
    rows: int
    columns: int
    cells: Ints  # of each sample

    @classmethod
    def load(cls, run: Run, layout: Layout) -> Puzzle | None:
        """None where the image is not in the run folder."""
        image = run.image(layout)
        if image is None:
            return None
        aspect = (image.height / layout.rows) / (image.width / layout.columns)
        width = min(MAX_WIDTH / layout.columns, MAX_HEIGHT / layout.rows / aspect, MAX_CELL)
        size = (layout.columns * max(round(width), 2), layout.rows * max(round(width * aspect), 2))
        pixels = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        return cls(np.asarray(image), pixels, layout.rows, layout.columns, np.array(layout.cells))

    @property
    def cell_height(self) -> int:
        return int(self.image.shape[0]) // self.rows

    @property
    def cell_width(self) -> int:
        return int(self.image.shape[1]) // self.columns

    def place(self, cell: int) -> tuple[int, int]:
        """(column, row), as the titles of the pieces say it."""
        return int(cell) % self.columns, int(cell) // self.columns

    def piece(self, cell: int) -> style.Pixels:
        """One piece in the resolution of the image in the run folder."""
        column, row = self.place(cell)
        height, width = self.original.shape[:2]
        top, left = row * height // self.rows, column * width // self.columns
        bottom, right = (row + 1) * height // self.rows, (column + 1) * width // self.columns
        return self.original[top : max(bottom, top + 1), left : max(right, left + 1)]

    def enlarge(self, values: npt.NDArray[Any]) -> Singles:
        """A value for each cell (rows x columns x channels) as one for each of its pixels."""
        tall = np.repeat(values.astype(np.float32), self.cell_height, axis=0)
        return np.repeat(tall, self.cell_width, axis=1)

    def dimmed(self) -> style.Pixels:
        """The image in pale grey, so that every colour on it is one that we put there.

        Sixty levels look the same as all, and make a file half as large.
        """
        grey = self.image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
        pale = 255 * (0.35 + 0.6 * np.round(grey * 60) / 60)
        return np.repeat(pale[..., None].astype(np.uint8), 3, axis=2)


def draw_accuracy(puzzle: Puzzle, right: Flags, title: str, path: Path) -> Path:
    """Each cell green or red; a cross marks wrong ones for whoever cannot tell these apart."""
    counts = np.bincount(puzzle.cells, minlength=puzzle.rows * puzzle.columns)
    sums = np.bincount(puzzle.cells, weights=right, minlength=len(counts))
    fractions = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    figure, axes = framed(puzzle, f"{title}, {percent(float(right.mean()))} right", legend=True)
    show(axes, puzzle, _overlay(puzzle, fractions.reshape(puzzle.rows, puzzle.columns)))
    single = counts.max() <= 1
    _add_legend(figure, _verdict_patches(right) if single else _share_patches(fractions))
    return style.save(figure, path, num_colors=256)


def _verdict_patches(right: Flags) -> list[Patch]:
    num_right = int(right.sum())
    return [
        Patch(color=style.GREEN, label=f"right: {num_right}"),
        Patch(color=style.RED, label=f"wrong, crossed: {len(right) - num_right}"),
    ]


def _share_patches(fractions: Floats) -> list[Patch]:
    known = fractions[np.isfinite(fractions)]
    steps = np.unique(np.round(known, 4)) if len(np.unique(known)) <= 5 else np.linspace(0, 1, 5)
    patches = [
        Patch(facecolor=FRACTION(step), edgecolor=style.GREY, label=f"{100 * step:.0f} %")
        for step in steps
    ]
    label = "of the samples of a cell are right; crossed: less than half"
    return [*patches, Patch(alpha=0, label=label)]


def _add_legend(figure: Figure, patches: list[Patch]) -> None:
    figure.legend(handles=patches, loc="lower center", ncols=len(patches), fontsize=10)


def _overlay(puzzle: Puzzle, fractions: Floats) -> style.Pixels:
    """One array for all cells, as a thousand patches would take seconds to draw.

    A cell that is all right keeps the image's colours under its border; the rest are tinted.
    """
    height, width = puzzle.cell_height, puzzle.cell_width
    tint = np.where(
        np.isnan(fractions)[..., None], 0.8, FRACTION(np.nan_to_num(fractions))[..., :3]
    )
    tinted = puzzle.enlarge(255 * tint)
    strength = puzzle.enlarge(np.where(fractions == 1, RIGHT_TINT, WRONG_TINT)[..., None])
    edge = 0 if min(height, width) < 6 else 1 if min(height, width) < 48 else 3
    border = np.ones((height, width), dtype=np.bool_)
    border[edge : height - edge, edge : width - edge] = False
    strength[np.tile(border, fractions.shape)] = 1.0
    pixels = blend(puzzle.image, tinted, strength)
    is_wrong = np.nan_to_num(fractions, nan=1.0) < 0.5
    crossed = (
        np.tile(_cross(height, width), fractions.shape)
        & (puzzle.enlarge(is_wrong[..., None]) > 0)[..., 0]
    )
    pixels[crossed] = (25, 12, 0)
    return pixels


def blend(below: style.Pixels, above: Singles, strength: Singles) -> style.Pixels:
    """`above` over the image, in bytes: a thousand cells in floats would take 150 MB more."""
    mixed = below.astype(np.float32)
    mixed += strength * (above - mixed)
    return np.round(mixed).astype(np.uint8)


def _cross(height: int, width: int) -> Flags:
    """A mask of a cell's two diagonals, one to a few pixels thick, clear of the border."""
    y, x = np.mgrid[0:height, 0:width]
    down = (y + 0.5) / height
    across = (x + 0.5) / width
    thick = max(1.2 / min(height, width), 0.045)
    lines = (np.abs(down - across) < thick) | (np.abs(down + across - 1) < thick)
    inside = (np.abs(down - 0.5) < 0.3) & (np.abs(across - 0.5) < 0.3)
    return np.asarray(lines & inside)


def framed(puzzle: Puzzle, title: str, *, legend: bool = False) -> tuple[Figure, Axes]:
    """A figure with axes that show the image pixel by pixel, numbered in columns and rows."""
    image_height, image_width = puzzle.image.shape[:2]
    width = max(image_width, 620) + 110
    lines = style.wrapped(title, (width - 40) / style.DPI)
    top = 34 + 19 * (lines.count("\n") + 1)
    figure = style.pixel_figure(width, top + image_height + 58 + (36 if legend else 0))
    axes = style.pixel_axes(figure, (width - image_width) // 2, top, image_width, image_height)
    figure.text(0.5, 1 - 12 / figure.get_size_inches()[1] / style.DPI, lines, ha="center", va="top")
    axes.set_xlim(-0.5, puzzle.columns - 0.5)
    axes.set_ylim(puzzle.rows - 0.5, -0.5)
    axes.set_xticks(_ticks(puzzle.columns, puzzle.cell_width))
    axes.set_yticks(_ticks(puzzle.rows, puzzle.cell_height))
    axes.set(xlabel="column", ylabel="row")
    return figure, axes


def _ticks(count: int, pixels: int) -> list[int]:
    """Choose as many ticks as have room, at round distances."""
    needed = 12 + 9 * len(str(count))
    steps = (1, 2, 5, 10, 20, 50, 100, 200, count)
    step = next(step for step in steps if step * pixels >= needed or step >= count)
    return list(range(0, count, step))


def show(axes: Axes, puzzle: Puzzle, pixels: style.Pixels) -> None:
    """The image, or what was made of it, in columns and rows."""
    extent = (-0.5, puzzle.columns - 0.5, puzzle.rows - 0.5, -0.5)
    axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest")
