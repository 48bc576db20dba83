"""The course of training of a sweep's settings: a line each over the epochs, a band over seeds."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.plots import style
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.settings import describe_settings
from expkit.reports.sweep.plots.axes import Objective, draw_levels

Floats = npt.NDArray[np.float64]

MAX_NAMED = 7  # as many as there are colours to tell apart
MAX_SHOWN = 60  # settings whose histories are read: the best, and others in grey


def draw_group_curves(groups: Sequence[Recipe], objective: Objective, folder: Path) -> list[Path]:
    """The objective's metric where it is recorded by epoch, else the loss; held out if possible."""
    shown = groups[:MAX_SHOWN]
    histories = {id(group): list(_histories(group)) for group in shown}
    key = _column_of([h for each in histories.values() for h in each], objective.metric)
    if key is None:
        return []
    scale, most = (100.0, 100.0) if formatting.is_fraction(key) else (1.0, np.inf)
    figure = style.new_figure(9, 4.8)
    axes = figure.add_subplot()
    ends = []
    for index in range(len(shown) - 1, -1, -1):
        curves = [scale * _column(h, key) for h in histories[id(shown[index])]]
        if any(len(curve) for curve in curves):
            color = style.LINES[index] if index < MAX_NAMED else "#bbbbbb"
            is_behind = index >= MAX_NAMED
            x, y = _draw(axes, curves, color, most=most, behind=is_behind)
            if index < MAX_NAMED:
                ends.append((x, y, describe_settings(shown[index].settings), color))
    split, metric = key.split("/")
    where = "training samples (mean while training)" if split == "train" else "held out (val)"
    axes.set(xlabel="epoch", ylabel=f"{metric} on {where}{' in %' if scale == 100 else ''}")
    axes.grid(visible=True, axis="y")
    grey = f"; grey: the next {len(shown) - MAX_NAMED}" if len(shown) > MAX_NAMED else ""
    over = "folds" if any(group.num_folds for group in shown) else "seeds"
    bands = f"bands: ± std over {over}" if _has_bands(shown) else "one seed each"
    figure.suptitle(f"{metric} over the epochs, {where}\n{bands}{grey}", fontsize=10.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == objective.metric:
        low, high = axes.get_ylim()
        draw_levels(axes, objective, [low, high], inside=True)
    _legend(axes, ends)
    return [style.save(figure, folder / "curves.png")]


def _histories(group: Recipe) -> Iterator[list[dict[str, object]]]:
    """The last training stage of each run; gates, which have a line a step, are none."""
    for run in (Run(row.path) for row in group.judged if row.path is not None):
        gates = {name for name, stage in run.config["procedure"].items() if "max_loss" in stage}
        lines = [record for record in run.history if record["stage"] not in gates]
        yield [record for record in lines if record["stage"] == lines[-1]["stage"]]


def _column_of(histories: Sequence[Sequence[dict[str, object]]], metric: str) -> str | None:
    recorded = {key for history in histories for key in (history[-1] if history else {})}
    if max((len(history) for history in histories), default=0) < 2:
        return None
    loss = [f"{split}/loss" for split in ("val", "train")]
    wanted = [f"{split}/{metric}" for split in ("val", "train")] + loss
    return next((key for key in wanted if key in recorded), None)


def _column(history: Sequence[dict[str, object]], key: str) -> Floats:
    return np.array([record.get(key, np.nan) for record in history], dtype=np.float64)


def _draw(
    axes: Axes, curves: Sequence[Floats], color: str, *, most: float, behind: bool
) -> tuple[float, float]:
    """Draw as far as all seeds went: a mean over fewer would leap where one stops.

    `most`: no accuracy, and so no band of accuracies, is above it; none is below 0.
    """
    length = min(len(curve) for curve in curves)
    stacked = np.stack([curve[:length] for curve in curves])
    epochs, mean = np.arange(1, length + 1), stacked.mean(axis=0)
    if len(curves) > 1 and not behind:
        std = stacked.std(axis=0, ddof=1)
        low, high = np.maximum(mean - std, 0), np.minimum(mean + std, most)
        axes.fill_between(epochs, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(epochs, mean, color=color, linewidth=1 if behind else 1.8, zorder=1 if behind else 3)
    return float(epochs[-1]), float(mean[-1])


def _has_bands(groups: Sequence[Recipe]) -> bool:
    return any(len(group.values) > 1 for group in groups)


def _legend(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """The names beside the plot, in the order in which the lines end, highest first."""
    high = 0.98
    for _, _, name, color in sorted(ends, key=lambda end: -end[1]):
        lines = textwrap.wrap(style.shortened(name, 66), 33)
        text = "\n".join(lines)
        axes.annotate(
            text,
            (1.02, high),
            xycoords="axes fraction",
            va="top",
            color=color,
            fontsize=9,
            fontweight="bold",
        )
        high -= 0.05 * len(lines) + 0.025
