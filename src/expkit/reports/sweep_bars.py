"""A sweep's objective over choices: a bar each, and a point a seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from expkit.reports import style
from expkit.reports.sweep_axes import Objective, draw_levels, entitle
from expkit.reports.sweep_groups import Group
from expkit.reports.variation import describe_settings

MAX_BARS = 20


def draw_bars(groups: Sequence[Group], objective: Objective, folder: Path) -> Path:
    """The best on top; bars begin at 0, so that their lengths do not exaggerate."""
    shown = groups[:MAX_BARS]
    figure = style.new_figure(8.5, 1.8 + 0.42 * len(shown))
    axes = figure.add_subplot()
    rows = np.arange(len(shown))
    means = objective.scale * np.array([group.mean for group in shown], dtype=np.float64)
    colors = [style.BLUE if row == 0 else style.SKY for row in rows]
    axes.barh(rows, means, 0.62, color=colors, alpha=0.75)
    for row, group in zip(rows, shown, strict=True):
        if len(group.values) > 1:
            points = objective.scale * np.array(group.values)
            axes.plot(points, np.full(len(points), row), "o", color=style.BLACK, ms=3.5, alpha=0.7)
    right = max(objective.scale * value for group in shown for value in (*group.values, 0.0))
    for place, group in enumerate(shown):
        axes.text(1.02 * right, place, objective.of(group), va="center", fontsize=9)
    _draw_levels(axes, objective, right)
    labels = [style.shortened(describe_settings(group.settings), 44) for group in shown]
    axes.set_yticks(rows, labels, fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -1.2)
    axes.set(xlim=(min(0.0, float(means.min())), 1.3 * right or 1.0), xlabel=objective.label)
    if objective.scale == 100:  # the figures stand beyond what a share can reach
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= 100])
    few = "" if len(shown) == len(groups) else f" (the best {len(shown)} of {len(groups)})"
    told = f"best with {labels[0]} ({objective.of(groups[0])})"
    entitle(figure, f"{objective.metric}: {told}{few}", objective, groups)
    return style.save(figure, folder / "objective.png")


def _draw_levels(axes: Axes, objective: Objective, right: float) -> None:
    """Named above the bars, the second higher where two names would overlap."""
    before = None
    for name, level in sorted(objective.levels.items(), key=lambda pair: pair[1]):
        place = objective.scale * level
        axes.axvline(place, color=style.GREY, linestyle=":", linewidth=1.3)
        close = before is not None and place - before < 0.3 * right
        height = -0.85 if close else -0.5
        text = f" {name} {objective.figure(level)}"
        label = axes.text(place, height, text, va="center", fontsize=9, color=style.GREY)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
        before = None if close else place


def draw_seeds(groups: Sequence[Group], objective: Objective, folder: Path) -> Path:
    """Jobs alike but for their seed: a point each, their mean and a band of one deviation."""
    (group,) = groups
    assert group.mean is not None
    rows = sorted(group.judged, key=lambda row: row.seed)
    values = objective.scale * np.array([row.objective for row in rows], dtype=np.float64)
    figure = style.new_figure(7, 4.2)
    axes = figure.add_subplot()
    middle, std = objective.scale * group.mean, objective.scale * (group.std or 0.0)
    axes.axhspan(middle - std, middle + std, color=style.BLUE, alpha=0.12, linewidth=0)
    axes.axhline(middle, color=style.BLUE, linewidth=1.5)
    axes.plot(np.arange(len(rows)), values, "o", color=style.BLUE, markersize=7)
    axes.set_xticks(np.arange(len(rows)), [str(row.seed) for row in rows])
    draw_levels(axes, objective, values.tolist())
    axes.set(xlabel="seed", ylabel=objective.label)
    axes.margins(x=0.08, y=0.15)
    axes.grid(visible=True, axis="y")
    low, high = objective.figure(min(group.values)), objective.figure(max(group.values))
    finding = f"{objective.metric} over {len(rows)} seeds: {objective.of(group)}, {low} to {high}"
    entitle(figure, finding, objective, groups)
    return style.save(figure, folder / "objective.png")
