"""The axes of a sweep's plots: the figure's axis, the levels beside it, and its title."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from expkit.metrics.names import Measure, is_lower_better
from expkit.metrics.percentages import percent
from expkit.reports import formatting
from expkit.reports.plots import style
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.settings import Value, shown

Floats = npt.NDArray[np.float64]

TITLE_SIZE = 10.5
LOG_FROM = 10.0  # the largest over the smallest value, from which a log axis reads better
MAX_TICKS = 10  # measured places of an axis that are named, rather than round numbers
FAR = 1.0  # ranges of the data, by which a level may lie outside before it is only named


@dataclass(frozen=True)
class Objective:
    """The figure that a sweep is judged by, as an axis shows it."""

    name: str  # with its split: val/accuracy
    levels: Mapping[str, float] = field(default_factory=dict)  # chance, largest class

    @property
    def metric(self) -> str:
        return Measure.parse(self.name).metric

    @property
    def scale(self) -> float:
        return 100.0 if formatting.is_fraction(self.name) else 1.0

    @property
    def label(self) -> str:
        """`accuracy on val in %`."""
        measure = Measure.parse(self.name)
        of = f"[{measure.class_name}]" if measure.class_name else ""
        where = {"": "", "train": " on training samples"}.get(
            measure.split, f" on held-out samples ({measure.split})"
        )
        unit = " in %" if self.scale == 100 else ""
        return f"{self.metric}{of}{where}{unit}"

    @property
    def better(self) -> str:
        return "lower is better" if is_lower_better(self.name) else "higher is better"

    def figure(self, value: float) -> str:
        return percent(value, 1) if self.scale == 100 else f"{value:.4g}"

    def clipped(self, end: Floats) -> Floats:
        """A band of a share does not leave 0 to 100 %."""
        return np.clip(end, 0, 100) if self.scale == 100 else end

    def of(self, group: Recipe) -> str:
        return group.in_words(self.name)


def is_numeric(values: Sequence[Value]) -> bool:
    return all(not isinstance(value, str) for value in values)


def in_order(values: Sequence[Value]) -> list[Value]:
    """Numbers by size, words as they were planned."""
    known = list(dict.fromkeys(values))
    return sorted(known, key=float) if is_numeric(known) else known


def wants_log(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= LOG_FROM


def place_values(axes: Axes, values: Sequence[float], which: str = "x") -> None:
    """Ticks where something was measured; where that is nearly everywhere, at round numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    logarithmic = wants_log(values)
    if logarithmic:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    distinct = sorted(set(values))
    if len(distinct) <= MAX_TICKS:
        axis.set_major_locator(FixedLocator(_thinned(distinct, logarithmic=logarithmic)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: shown(float(value))))


def _thinned(values: Sequence[float], *, logarithmic: bool) -> list[float]:
    """Those that lie a tenth of the axis from the one before."""
    places = [math.log(value) if logarithmic else value for value in values]
    room = (places[-1] - places[0]) / 10
    kept = [0]
    for index, place in enumerate(places):
        if place - places[kept[-1]] >= room and index:
            kept.append(index)
    return [values[index] for index in kept]


def draw_levels(
    axes: Axes,
    objective: Objective,
    values: Sequence[float],
    *,
    inside: bool = False,
    along: Literal["x", "y"] = "y",
) -> None:
    """Lines across, named at their end; a level far off is named above the plot alone.

    `values` are those drawn, in the axis's unit; names stand inside where others stand beside.
    """
    low, high = min(values), max(values)
    span = max(high - low, 0.02 * max(abs(high), 1e-9))
    near: list[tuple[float, str]] = []
    far: list[tuple[float, str]] = []
    for name, level in objective.levels.items():
        place = objective.scale * level
        is_near = low - FAR * span <= place <= high + FAR * span
        (near if is_near else far).append((place, f"{name} {objective.figure(level)}"))
    for place, text in _merged(near, span):
        if along == "x":
            axes.axvline(place, color=style.GREY, linestyle=":", linewidth=1.3, zorder=1)
            label = axes.annotate(text, (place, 1.0), xycoords=("data", "axes fraction"))
            label.set(ha="center", va="bottom")
        else:
            axes.axhline(place, color=style.GREY, linestyle=":", linewidth=1.3, zorder=1)
            end = (0.99 if inside else 1.01, place)
            label = axes.annotate(text, end, xycoords=("axes fraction", "data"))
            label.set(ha="right" if inside else "left", va="bottom" if inside else "center")
        label.set(fontsize=9, color=style.GREY)
        if inside:  # a line may pass there
            label.set_bbox({"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1})
    if far:  # above, where nothing that is drawn can cross it
        below, above = ("←", "→") if along == "x" else ("↓", "↑")
        arrow = below if far[0][0] < low else above
        text = f"{arrow} not in the plot: {', '.join(text for _, text in far)}"
        pad = 18 if along == "x" and near else None  # above the names of the lines
        axes.set_title(text, loc="left", fontsize=9, color=style.GREY, pad=pad)


def _merged(levels: Sequence[tuple[float, str]], span: float) -> list[tuple[float, str]]:
    """Two names at one height would lie on each other."""
    merged: list[tuple[float, str]] = []
    for place, text in sorted(levels):
        if merged and place - merged[-1][0] < 0.08 * span:
            merged[-1] = (merged[-1][0], f"{merged[-1][1]}\n{text}")
        else:
            merged.append((place, text))
    return merged


def entitle(
    figure: Figure,
    finding: str,
    objective: Objective,
    groups: Sequence[Recipe],
    *,
    with_levels: bool = False,
) -> None:
    """The finding first, then how to read it; the levels where no axis can show them."""
    parts = [objective.better, num_seeds(groups)]
    if with_levels:
        parts += [f"{name} {objective.figure(at)}" for name, at in objective.levels.items()]
    columns = int((figure.get_size_inches()[0] - 0.4) * 72 / (0.56 * TITLE_SIZE))
    lines = [line for text in (finding, "; ".join(parts)) for line in textwrap.wrap(text, columns)]
    figure.suptitle("\n".join(lines), fontsize=TITLE_SIZE)


def num_seeds(groups: Sequence[Recipe]) -> str:
    """`3 seeds each (mean ± std)`; of cross-validation `3 folds`."""
    counts = sorted({len(group.values) for group in groups if group.values})
    if not counts or counts == [1]:
        return "one seed each"
    each = " each" if len(groups) > 1 else ""
    units = {group.unit for group in groups if group.values}
    if len(units) == 1:
        return f"{units.pop()}{each} (mean ± std)"
    noun = "runs" if any(group.num_folds for group in groups) else "seeds"
    count = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{count} {noun}{each} (mean ± std)"
