"""A sweep's objective over two keys: a cell a pair, or a point where few pairs were tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle

from expkit.metrics.names import is_lower_better
from expkit.reports.plots import style
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.settings import Value, describe_settings, shown
from expkit.reports.sweep.plots.axes import Objective, entitle, in_order, is_numeric, place_values

MAX_NAMED_CELLS = 120  # above, the figures in the cells cannot be read
EMPTY = "#eeeeee"


def draw_heatmap(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """Light is better, whichever way the metric goes; the best cell is framed."""
    across, down = _axes_of(groups)
    columns = in_order([group.settings[across] for group in groups])
    rows = in_order([group.settings[down] for group in groups])
    if is_numeric(rows):
        rows = rows[::-1]  # upwards
    figure = style.new_figure(
        min(14.0, max(7.0, 3.4 + 0.95 * len(columns))), min(11.0, 2.4 + 0.55 * len(rows))
    )
    axes = figure.add_subplot()
    norm, cmap = _scale(groups, objective)
    num_cells = len(columns) * len(rows)
    axes.set_facecolor(EMPTY)
    for group in groups:
        place = columns.index(group.settings[across]), rows.index(group.settings[down])
        color = cmap(norm(objective.scale * (group.mean or 0.0)))
        axes.add_patch(_cell(place, facecolor=color, edgecolor="white", linewidth=1.5))
        if num_cells <= MAX_NAMED_CELLS:
            _write(axes, place, group, objective, color)
    best = columns.index(groups[0].settings[across]), rows.index(groups[0].settings[down])
    axes.add_patch(_cell(best, fill=False, edgecolor=style.BLACK, linewidth=2.5, zorder=4))
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set(xlabel=across, ylabel=down)
    axes.set_xticks(range(len(columns)), _names(columns), rotation=_rotation(columns))
    axes.set_yticks(range(len(rows)), _names(rows))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    empty = "" if len(groups) == num_cells else "; grey: no figure"
    told = describe_settings({key: groups[0].settings[key] for key in (across, down)})
    told = f"best with {told} ({objective.of(groups[0])})"
    finding = f"{objective.metric} by {across} and {down}: {told}{empty}"
    figure.colorbar(ScalarMappable(norm, cmap), ax=axes, label=objective.label, fraction=0.05)
    entitle(figure, finding, objective, groups, with_levels=True)
    return style.save(figure, folder / "objective.png")


def draw_scatter(groups: Sequence[Recipe], objective: Objective, folder: Path) -> Path:
    """Two numeric keys of which few pairs were tried, as a search leaves them."""
    across, down = _axes_of(groups)
    figure = style.new_figure(8, 5.6)
    axes = figure.add_subplot()
    norm, cmap = _scale(groups, objective)
    x = [float(group.settings[across]) for group in groups]
    y = [float(group.settings[down]) for group in groups]
    means = [objective.scale * (group.mean or 0.0) for group in groups]
    axes.scatter(
        x[::-1],  # the best are drawn last, on top
        y[::-1],
        c=means[::-1],
        cmap=cmap,
        norm=norm,
        s=70,
        edgecolors=style.GREY,
        linewidths=0.6,
    )
    axes.plot(x[0], y[0], "o", ms=16, mfc="none", mec=style.BLACK, mew=2)
    place_values(axes, x)
    place_values(axes, y, "y")
    axes.margins(0.07)
    axes.set(xlabel=across, ylabel=down)
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    bar = ScalarMappable(norm, cmap)
    figure.colorbar(bar, ax=axes, label=objective.label, fraction=0.05)
    told = describe_settings({key: groups[0].settings[key] for key in (across, down)})
    finding = f"{objective.metric} by {across} and {down}: best with {told}"
    finding += f" ({objective.of(groups[0])})"
    entitle(figure, finding, objective, groups, with_levels=True)
    return style.save(figure, folder / "objective.png")


def _axes_of(groups: Sequence[Recipe]) -> tuple[str, str]:
    """The key with more values across; a plot is wider than high."""
    counts = {key: len({group.settings[key] for group in groups}) for key in groups[0].settings}
    first, second = sorted(counts, key=lambda key: -counts[key])[:2]
    return first, second


def _scale(groups: Sequence[Recipe], objective: Objective) -> tuple[Normalize, Colormap]:
    """Light is better."""
    means = [objective.scale * group.mean for group in groups if group.mean is not None]
    cmap = "viridis_r" if is_lower_better(objective.name) else "viridis"
    return Normalize(min(means), max(means)), mpl.colormaps[cmap]


def _cell(place: tuple[int, int], **options: object) -> Rectangle:
    return Rectangle((place[0] - 0.5, place[1] - 0.5), 1, 1, **options)  # type: ignore[arg-type]


def _write(
    axes: Axes, place: tuple[int, int], group: Recipe, objective: Objective, behind: Sequence[float]
) -> None:
    """The figure in its cell, dark on light and light on dark."""
    assert group.mean is not None
    luminance = 0.299 * behind[0] + 0.587 * behind[1] + 0.114 * behind[2]
    mean = objective.scale * group.mean
    text = f"{mean:.1f}" if objective.scale == 100 else f"{mean:.3g}"
    if group.std is not None:
        std = objective.scale * group.std
        text += f"\n± {std:.1f}" if objective.scale == 100 else f"\n± {std:.2g}"
    ink = style.BLACK if luminance > 0.5 else "white"
    axes.text(*place, text, ha="center", va="center", fontsize=9, color=ink)


def _names(values: Sequence[Value]) -> list[str]:
    return [style.shortened(shown(value), 22) for value in values]


def _rotation(values: Sequence[Value]) -> int:
    return 30 if max(len(name) for name in _names(values)) > 9 else 0
