"""A sweep over three keys or more: an axis a key, and a line a setting, by how well it did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from expkit.metrics.names import is_lower_better
from expkit.reports.plots import style
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.settings import Value, describe_settings, short_key, shown
from expkit.reports.sweep.plots.axes import Objective, entitle, in_order, is_numeric, wants_log

MAX_TICKS = 8  # names beside one axis
MAX_KEYS = 7
FAN = 0.035  # of the axis, to either side


def draw_parallel(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """The best is drawn last and thick; the last axis is the objective's."""
    keys = [
        key for key in groups[0].settings if len({group.settings[key] for group in groups}) > 1
    ][:MAX_KEYS]
    figure = style.new_figure(max(8.0, 2.0 * (len(keys) + 1)), 5)
    axes = figure.add_subplot()
    values = [[group.settings[key] for key in keys] for group in groups]
    places = [_places([row[i] for row in values]) for i in range(len(keys))]
    means = np.array([group.mean for group in groups], dtype=np.float64)
    low, high = float(means.min()), float(means.max())
    fanned = [np.array(each) + _fan(each) for each in places]
    heights = np.vstack([*fanned, (means - low) / ((high - low) or 1.0)])
    cmap = mpl.colormaps["viridis_r" if is_lower_better(objective.name) else "viridis"]
    colors = ScalarMappable(Normalize(low, high), cmap)
    for index in range(len(groups) - 1, 0, -1):
        color = colors.to_rgba(means[index])
        axes.plot(heights[:, index], color=color, linewidth=1.3, alpha=0.7, clip_on=False)
    axes.plot(heights[:, 0], color=style.BLACK, linewidth=3.6, clip_on=False)
    axes.plot(heights[:, 0], color=style.RED, linewidth=2.2, clip_on=False)
    for index, _ in enumerate(keys):
        _draw_axis(axes, index, [row[index] for row in values], places[index])
    _draw_objective_axis(axes, len(keys), low, high, objective)
    names = [short_key(key, keys) for key in keys]
    axes.set_xticks(range(len(keys) + 1), [*names, objective.metric], fontweight="bold")
    axes.set_yticks([])
    axes.set(xlim=(-0.25, len(keys) + 0.35), ylim=(-0.04, 1.04))
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0, pad=8)
    told = describe_settings({key: groups[0].settings[key] for key in keys})
    finding = f"{objective.metric}: the best of {len(groups)} (red) has {told}"
    finding += f" ({objective.of(groups[0])})"
    entitle(figure, finding, objective, groups, with_levels=True)
    return style.save(figure, folder / "objective.png")


def _places(values: Sequence[Value]) -> list[float]:
    """From 0 at the foot of an axis to 1 at its top; words in even steps."""
    order = in_order(values)
    if not is_numeric(order):
        return [order.index(value) / (len(order) - 1) for value in values]
    numbers = [float(value) for value in values]
    if wants_log(numbers):
        numbers = [math.log(number) for number in numbers]
    low, high = min(numbers), max(numbers)
    return [(number - low) / (high - low) for number in numbers]


def _fan(places: Sequence[float]) -> npt.NDArray[np.float64]:
    """Lines through one value spread by how well they did, so that all can be seen there."""
    if len(set(places)) > MAX_TICKS:
        return np.zeros(len(places))
    return np.linspace(FAN, -FAN, len(places))


def _draw_axis(axes: Axes, index: int, values: Sequence[Value], places: Sequence[float]) -> None:
    axes.axvline(index, color=style.GREY, linewidth=1)
    named = sorted(dict(zip(values, places, strict=True)).items(), key=lambda pair: pair[1])
    if len(named) > MAX_TICKS:
        named = [named[round(i * (len(named) - 1) / 4)] for i in range(5)]
    for value, place in named:
        _name(axes, index, float(place), style.shortened(shown(value), 20))


def _draw_objective_axis(
    axes: Axes, index: int, low: float, high: float, objective: Objective
) -> None:
    axes.axvline(index, color=style.GREY, linewidth=1)
    for fraction in (0.0, 0.25, 0.5, 0.75, 1.0) if low < high else (0.0,):
        _name(axes, index, fraction, objective.figure(low + fraction * (high - low)))


def _name(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(
        text,
        (x, y),
        (5, 0),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        zorder=6,
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
    )
