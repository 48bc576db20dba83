"""A forest plot of an ablation: how far each change lies from the recipe, and how surely."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expkit.metrics.names import is_lower_better
from expkit.reports import formatting
from expkit.reports.compare.verdicts import difference_shown, p_shown
from expkit.reports.plots import style
from expkit.reports.sweep.ablation import AblationResult, Worth, describe

COLORS = {"helps": style.GREEN, "hurts": style.RED}
ROW_INCHES = 0.42
HIDDEN_FACTOR = 3  # an interval so many times as wide as the dots' range leaves the axis


def draw_ablation(result: AblationResult, folder: Path) -> Path | None:
    """A row a change, the costliest on top; None where there is nothing to be drawn."""
    shown = [worth for worth in result.worths if worth.pairs]
    if not shown:
        return None
    with style.styled():
        return style.save(draw_forest(result, shown), folder / "ablation.png")


def draw_forest(result: AblationResult, shown: Sequence[Worth]) -> Figure:
    """A row a change with its figures beside it, on one axis."""
    scale = 100 if formatting.is_fraction(result.objective) else 1
    limits = _limits(shown, scale)
    figure = style.new_figure(10.5, 1.9 + ROW_INCHES * len(shown))
    figure.suptitle(style.wrapped(describe(result), 10), fontsize=11)
    axes = figure.add_subplot()
    for row, worth in enumerate(shown):
        _draw_worth(axes, row, worth, scale, limits)
        told = f"  {_told(result.objective, worth)}"
        axes.text(limits[1], row, told, fontsize=8.5, va="center", color=style.BLACK)
    axes.set_xlim(limits)
    _label(axes, result, shown)
    return figure


def _told(objective: str, worth: Worth) -> str:
    """The figures of a row, right of the axis."""
    if worth.difference is None:
        return f"{formatting.difference(objective, worth.gain, 0.0)}, one seed"
    shown = difference_shown(objective, worth.difference).replace(" points", "")
    return f"{shown}, {p_shown(worth.difference)}"


def _limits(shown: Sequence[Worth], scale: float) -> tuple[float, float]:
    """All dots and 0, and all intervals but those of few seeds that would dwarf the rest."""
    gaps = [0.0, *(scale * (ours - theirs) for worth in shown for ours, theirs in worth.pairs)]
    width = max(gaps) - min(gaps) or 1.0
    low, high = min(gaps) - HIDDEN_FACTOR * width, max(gaps) + HIDDEN_FACTOR * width
    ends = [
        scale * end
        for worth in shown
        if worth.difference is not None
        for end in worth.difference.interval or ()
    ]
    inside = [*gaps, *(end for end in ends if low <= end <= high)]
    margin = 0.06 * (max(inside) - min(inside) or 1.0)
    return min(inside) - margin, max(inside) + margin


def _draw_worth(
    axes: Axes, row: int, worth: Worth, scale: float, limits: tuple[float, float]
) -> None:
    """The seeds as small rings, the mean as a square, its interval as a line."""
    color = COLORS.get(worth.word, style.BLACK)
    ends = None if worth.difference is None else worth.difference.interval
    if ends is not None:
        _draw_interval(axes, row, (scale * ends[0], scale * ends[1]), limits, color)
    gaps = [scale * (ours - theirs) for ours, theirs in worth.pairs]
    axes.plot(gaps, [row + 0.24] * len(gaps), "o", color=color, markersize=3.5, fillstyle="none")
    axes.plot(scale * worth.gain, row, "s", color=color, markersize=8)


def _draw_interval(
    axes: Axes, row: int, ends: tuple[float, float], limits: tuple[float, float], color: str
) -> None:
    """A line with an end mark, or an arrow where it goes on beyond the axis."""
    inset = 0.012 * (limits[1] - limits[0])  # an arrowhead stays clear of names and figures
    shown = (
        ends[0] if ends[0] >= limits[0] else limits[0] + inset,
        ends[1] if ends[1] <= limits[1] else limits[1] - inset,
    )
    axes.plot(shown, (row, row), color=color, linewidth=1.8, solid_capstyle="butt")
    for end, at, arrow in zip(ends, shown, ("<", ">"), strict=True):
        mark = "|" if end == at else arrow
        axes.plot(at, row, mark, color=color, markersize=9, clip_on=False)


def _label(axes: Axes, result: AblationResult, shown: Sequence[Worth]) -> None:
    axes.axvline(0, color=style.BLACK, linewidth=1, zorder=0)
    axes.set_yticks(range(len(shown)), [style.shortened(worth.name, 32) for worth in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    unit = " in points" if formatting.is_fraction(result.objective) else ""
    side = "left" if is_lower_better(result.objective) else "right"
    counts = {worth.num_seeds for worth in shown}
    seeds = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{min(counts)}"
    recipe = formatting.figure(result.objective, statistics.fmean(result.recipe))
    several = sum(worth.difference is not None for worth in shown) > 1
    interval = "95 % interval after Holm's correction" if several else "95 % interval"
    axes.set_xlabel(
        f"difference to the recipe ({recipe}){unit}, better to the {side}\n"
        f"rings: {seeds} seed{'s' * (max(counts) > 1)}, square: mean, line: {interval}, "
        "arrow: goes on beyond"
    )
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
