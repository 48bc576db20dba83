"""A sweep's objective over a numeric key: one line, or one for each choice of another key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from expkit.reports.plots import style
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.settings import Value, describe_settings, shown
from expkit.reports.sweep.plots.axes import (
    Objective,
    draw_levels,
    entitle,
    is_numeric,
    place_values,
)

Floats = npt.NDArray[np.float64]

MAX_JOINED = 30  # values along an axis; the points of a search stand alone


def draw_line(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """One numeric key: the mean, a band of one standard deviation, and a point a seed."""
    (key,) = _varying(groups)
    figure = style.new_figure(8, 4.6)
    axes = figure.add_subplot()
    _draw(axes, groups, key, objective, style.BLUE)
    best = groups[0]
    at = shown(best.settings[key])
    finding = f"{objective.metric} by {key}: best at {at} ({objective.of(best)})"
    entitle(figure, finding, objective, groups)
    _mark_best(axes, best, key, objective)
    _finish(axes, groups, key, objective)
    return style.save(figure, folder / "objective.png")


def draw_lines(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """A numeric key and a choice: a line for each, named at its right end."""
    keys = _varying(groups)
    key = next(k for k in keys if is_numeric([group.settings[k] for group in groups]))
    (other,) = (k for k in keys if k != key)
    figure = style.new_figure(9, 4.8)
    axes = figure.add_subplot()
    ends = []
    choices = list(dict.fromkeys(group.settings[other] for group in groups))  # the best first
    for choice, color in zip(choices, style.LINES, strict=False):
        members = [group for group in groups if group.settings[other] == choice]
        x, y = _draw(axes, members, key, objective, color)
        ends.append((x[-1], y[-1], shown(choice), color))
    best = groups[0]
    told = describe_settings(best.settings)
    finding = f"{objective.metric} by {key} and {other}: best with {told} ({objective.of(best)})"
    entitle(figure, finding, objective, groups)
    _mark_best(axes, best, key, objective)
    _finish(axes, groups, key, objective, levels_inside=True)
    _name_lines(axes, ends)
    return style.save(figure, folder / "objective.png")


def _varying(groups: Sequence[Recipe]) -> list[str]:
    return [key for key in groups[0].settings if len({group.settings[key] for group in groups}) > 1]


def _draw(
    axes: Axes, groups: Sequence[Recipe], key: str, objective: Objective, color: str
) -> tuple[Floats, Floats]:
    ordered = sorted(groups, key=lambda group: _number(group.settings[key]))
    x = np.array([_number(group.settings[key]) for group in ordered])
    y = objective.scale * np.array([group.mean for group in ordered], dtype=np.float64)
    std = objective.scale * np.array([group.std or 0.0 for group in ordered])
    if len(x) > MAX_JOINED:
        axes.plot(x, y, "o", color=color, markersize=4, alpha=0.7)
        return x, y
    low, high = objective.clipped(y - std), objective.clipped(y + std)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(x, y, color=color, marker="o", markersize=5, linewidth=1.8)
    for place, group in zip(x, ordered, strict=True):
        if len(group.values) > 1:
            points = objective.scale * np.array(group.values)
            axes.plot(np.full(len(points), place), points, "o", color=color, ms=3, alpha=0.5)
    return x, y


def _number(value: Value) -> float:
    assert not isinstance(value, str), "only a numeric key has a place on an axis"
    return float(value)


def _mark_best(axes: Axes, best: Recipe, key: str, objective: Objective) -> None:
    assert best.mean is not None
    place = (_number(best.settings[key]), objective.scale * best.mean)
    axes.plot(*place, "o", ms=13, mfc="none", mec=style.BLACK, mew=1.5, zorder=5)


def _finish(
    axes: Axes,
    groups: Sequence[Recipe],
    key: str,
    objective: Objective,
    *,
    levels_inside: bool = False,
) -> None:
    place_values(axes, [_number(group.settings[key]) for group in groups])
    values = [objective.scale * value for group in groups for value in group.values]
    draw_levels(axes, objective, values, inside=levels_inside)
    axes.set(xlabel=key, ylabel=objective.label)
    axes.margins(x=0.06, y=0.12)
    axes.grid(visible=True, axis="y")


def _name_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Beside the last point, moved apart where two would overlap."""
    low, high = axes.get_ylim()
    room = 0.06 * (high - low)
    place = -np.inf
    for x, y, name, color in sorted(ends, key=lambda end: end[1]):
        place = max(y, place + room)
        axes.annotate(
            style.shortened(name, 26),
            (x, place),
            (12, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontweight="bold",
            fontsize=9,
            annotation_clip=False,
        )
