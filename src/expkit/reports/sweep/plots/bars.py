"""A sweep's objective over choices: a row each, and a point a seed or fold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from expkit.reports.plots import style
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.rows import RunRow
from expkit.reports.runs.settings import describe_settings
from expkit.reports.sweep.plots.axes import Objective, draw_levels, entitle

MAX_ROWS = 20


def draw_choices(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """The best on top: its mean, a line of one std to either side, and a point a run.

    The axis shows the differences; there are no bars, whose lengths a cut axis would exaggerate.
    """
    shown = groups[:MAX_ROWS]
    figure = style.new_figure(8.5, 1.9 + 0.42 * len(shown))
    axes = figure.add_subplot()
    ends: list[float] = []
    for row, group in enumerate(shown):
        color = style.BLUE if row == 0 else style.BLACK
        mean, std = (objective.scale * (value or 0.0) for value in (group.mean, group.std))
        low, high = objective.clipped(np.array([mean - std, mean + std])).tolist()
        ends += [low, high, *(objective.scale * value for value in group.values)]
        axes.plot([low, high], [row, row], color=color, linewidth=1.6)
        if len(group.values) > 1:
            points = objective.scale * np.array(group.values)
            axes.plot(points, np.full(len(points), row), "o", color=color, ms=4, alpha=0.4)
        axes.plot(mean, row, "D", color=color, markersize=7)
        axes.annotate(
            objective.of(group),
            (1.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            color=color,
        )
    labels = [style.shortened(describe_settings(group.settings), 44) for group in shown]
    axes.set_yticks(range(len(shown)), labels, fontsize=9)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(objective.label)
    axes.margins(x=0.08)
    if objective.scale == 100:  # a share does not leave 0 to 100 %
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, -1), min(high, 101))
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
    draw_levels(axes, objective, ends, along="x")
    few = "" if len(shown) == len(groups) else f" (the best {len(shown)} of {len(groups)})"
    equals = sum(group.mean == groups[0].mean for group in groups) - 1
    alike = f", as with {equals} more" if equals else ""
    told = f"best with {labels[0]}{alike} ({objective.of(groups[0])})"
    entitle(figure, f"{objective.metric}: {told}{few}", objective, groups)
    return style.save(figure, folder / "objective.png")


def draw_seeds(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """Jobs alike but for their seed: a point each, their mean and a band of one deviation."""
    (group,) = groups
    assert group.mean is not None
    rows = sorted(group.judged, key=lambda row: (row.seed, row.fold or 0))
    known = group.figures(group.metric)
    values = objective.scale * np.array([known[row.draw] for row in rows])
    figure = style.new_figure(7, 4.2)
    axes = figure.add_subplot()
    middle, std = objective.scale * group.mean, objective.scale * (group.std or 0.0)
    axes.axhspan(middle - std, middle + std, color=style.BLUE, alpha=0.12, linewidth=0)
    axes.axhline(middle, color=style.BLUE, linewidth=1.5)
    axes.plot(np.arange(len(rows)), values, "o", color=style.BLUE, markersize=7)
    axes.set_xticks(np.arange(len(rows)), [_name_of(row, group) for row in rows])
    draw_levels(axes, objective, values.tolist())
    axes.set(xlabel=_kind_of(group), ylabel=objective.label)
    axes.margins(x=0.08, y=0.15)
    axes.grid(visible=True, axis="y")
    low, high = objective.figure(min(group.values)), objective.figure(max(group.values))
    finding = f"{objective.metric} over {group.unit}: {objective.of(group)}, {low} to {high}"
    entitle(figure, finding, objective, groups)
    return style.save(figure, folder / "objective.png")


def _kind_of(group: Recipe) -> str:
    if not group.num_folds:
        return "seed"
    num_seeds = len({row.seed for row in group.judged})
    return "held-out fold" if num_seeds == 1 else "seed, held-out fold"


def _name_of(row: RunRow, group: Recipe) -> str:
    names = {"seed": str(row.seed), "held-out fold": str(row.fold)}
    return names.get(_kind_of(group), f"{row.seed}, {row.fold}")
