"""The plots of a sweep: the one that suits its shape, and the course of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from expkit.reports.runs.recipes import Recipe
from expkit.reports.sweep.plots.axes import Objective, in_order, is_numeric

Shape = Literal["seeds", "line", "choices", "lines", "heatmap", "scatter", "parallel"]

MAX_LINES = 6  # of one plot, each with its name beside it
FILLED = 0.5  # share of a grid's cells that must have a figure for a heatmap


def shape_of(groups: Sequence[Recipe]) -> Shape | None:
    """Which plot tells most; None where there is nothing to compare."""
    keys = list(groups[0].settings) if groups else []
    if sum(len(group.values) for group in groups) < 2:
        return None
    if len(groups) == 1:
        return "seeds"
    values = {key: in_order([group.settings[key] for group in groups]) for key in keys}
    keys = [key for key in keys if len(values[key]) > 1]
    numeric = [key for key in keys if is_numeric(values[key])]
    if not keys:
        return None
    if len(keys) == 1:
        return "line" if numeric else "choices"
    if len(keys) > 2:
        return "parallel"
    full = len(groups) >= FILLED * len(values[keys[0]]) * len(values[keys[1]])
    if len(numeric) == 1 and full:
        (words,) = (key for key in keys if key not in numeric)
        return "lines" if len(values[words]) <= MAX_LINES else "heatmap"
    if full:
        return "heatmap"
    return "scatter" if len(numeric) == 2 else "choices"


def draw_sweep(groups: Sequence[Recipe], objective: Objective, folder: Path) -> list[Path]:
    """Every plot that the records have something for; the first is the answer."""
    from expkit.reports.plots import style
    from expkit.reports.sweep.plots.bars import draw_choices, draw_seeds
    from expkit.reports.sweep.plots.group_curves import draw_group_curves
    from expkit.reports.sweep.plots.heatmap import draw_heatmap, draw_scatter
    from expkit.reports.sweep.plots.line import draw_line, draw_lines
    from expkit.reports.sweep.plots.parallel_coordinates import draw_parallel

    draw = {
        "seeds": draw_seeds,
        "line": draw_line,
        "choices": draw_choices,
        "lines": draw_lines,
        "heatmap": draw_heatmap,
        "scatter": draw_scatter,
        "parallel": draw_parallel,
    }
    known = [group for group in groups if group.values]
    shape = shape_of(known)
    folder.mkdir(exist_ok=True)
    with style.styled():
        paths = [] if shape is None else [draw[shape](known, objective, folder)]
        paths += draw_group_curves(known, objective, folder)
    return paths
