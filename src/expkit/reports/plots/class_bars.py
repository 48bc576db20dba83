"""The figures of each class: its precision, its recall and its F1, points on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from expkit.metrics.classification import ClassFigures, measure_each_class
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.reader import Run
from expkit.reports.formatting import samples_of
from expkit.reports.plots import style

MAX_SHOWN = 20
# points and no bars, which would have to begin at 0: few classes differ there
POINTS = (("precision", style.SKY, "s"), ("recall", style.BLUE, "o"), ("f1", style.ORANGE, "D"))
APART = 0.24  # of the rows' distance
ZOOMED_FROM = 50  # percent: where all lies above, the axis begins near the lowest


def draw_classes(run: Run, folder: Path) -> list[Path]:
    """On the judged split; nothing where each class is a single sample, which is right or wrong."""
    predictions = run.predictions.get(run.dataset.judged_split)
    if not isinstance(predictions, ClassPredictions):
        return []
    found = measure_each_class(predictions)
    if all(figures.count <= 1 for figures in found):
        return []
    shown = choose_classes(found)
    figure = style.new_figure(9, 1.7 + 0.5 * len(shown))
    axes = figure.add_subplot()
    where = samples_of(predictions.split, len(predictions.targets))
    few = "each class" if len(shown) == len(found) else f"the {len(shown)} worst of {len(found)}"
    title = f"{run.name}\n{few} on {where}, line: 95 % interval of the recall"
    figure.suptitle(style.wrapped(title, 8.6), fontsize=11)
    _draw_points(axes, shown)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return [style.save(figure, folder / "classes.png")]


def choose_classes(found: Sequence[ClassFigures]) -> Sequence[ClassFigures]:
    """All in their order, or the worst first by F1 where they are too many."""
    if len(found) <= MAX_SHOWN:
        return found
    return sorted(found, key=lambda f: (np.isnan(f.f1), f.f1))[:MAX_SHOWN]


def _draw_points(axes: Axes, shown: Sequence[ClassFigures]) -> None:
    rows = np.arange(len(shown))
    for row, figures in zip(rows, shown, strict=True):
        axes.axhspan(row - 0.5, row + 0.5, color=style.STRIPE if row % 2 else "white", zorder=0)
        if figures.recall_interval is not None:
            ends = [100 * end for end in figures.recall_interval]
            axes.plot(ends, [row, row], color=style.BLUE, linewidth=1.3, marker="|", markersize=7)
    for number, (name, color, marker) in enumerate(POINTS):
        values = 100 * np.array([getattr(figures, name) for figures in shown])
        places = rows + (number - 1) * APART
        label = "F1" if name == "f1" else name
        axes.scatter(
            values, places, 34, color=color, marker=marker, label=label, zorder=3, clip_on=False
        )
    lowest = _lowest(shown)
    for row, figures in zip(rows, shown, strict=True):
        if np.isnan(figures.precision):  # nothing was called so
            text = " no precision: never predicted"
            axes.text(lowest, row - APART, text, va="center", fontsize=8, color=style.BLACK)
    labels = [f"{style.shortened(f.name, 28)} ({f.count})" for f in shown]
    axes.set_yticks(rows, labels, fontsize=9)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set(xlim=(lowest, 100), xlabel="%" if lowest == 0 else f"% (from {lowest})")
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)


def _lowest(shown: Sequence[ClassFigures]) -> int:
    """The start of the axis: 0, or a round number below all points and intervals."""
    values = [getattr(figures, name) for figures in shown for name, _, _ in POINTS]
    values += [figures.recall_interval[0] for figures in shown if figures.recall_interval]
    known = [100 * value for value in values if not np.isnan(value)]
    lowest = 10 * int(np.floor((min(known, default=0) - 1) / 10))
    return lowest if lowest >= ZOOMED_FROM else 0
