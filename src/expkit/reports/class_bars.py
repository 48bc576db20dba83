"""How each class fares: a bar for its precision, its recall and its F1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from expkit.records.predictions import ClassPredictions
from expkit.records.run import Run
from expkit.reports import style
from expkit.reports.metrics import ClassFigures, measure_each_class
from expkit.reports.wording import samples_of

MAX_SHOWN = 20
BARS = (("precision", style.SKY), ("recall", style.BLUE), ("f1", style.ORANGE))
BAR_HEIGHT = 0.26


def draw_classes(run: Run, folder: Path) -> list[Path]:
    """On the judged split; nothing where each class is a single sample, which is right or wrong."""
    answers = run.predictions.get(run.dataset.judged_split)
    if not isinstance(answers, ClassPredictions):
        return []
    found = measure_each_class(answers)
    if all(figures.count <= 1 for figures in found):
        return []
    shown = choose_classes(found)
    figure = style.new_figure(9, 1.7 + 0.5 * len(shown))
    axes = figure.add_subplot()
    where = samples_of(answers.split, len(answers.targets))
    few = "each class" if len(shown) == len(found) else f"the {len(shown)} worst of {len(found)}"
    title = f"{run.name}\n{few} on {where}, whiskers: 95 % interval of the recall"
    figure.suptitle(style.wrapped(title, 8.6), fontsize=11)
    _draw_bars(axes, shown)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return [style.save(figure, folder / "classes.png")]


def choose_classes(found: Sequence[ClassFigures]) -> Sequence[ClassFigures]:
    """All in their order, or the worst first by F1 where they are too many."""
    if len(found) <= MAX_SHOWN:
        return found
    return sorted(found, key=lambda f: (np.isnan(f.f1), f.f1))[:MAX_SHOWN]


def _draw_bars(axes: Axes, shown: Sequence[ClassFigures]) -> None:
    rows = np.arange(len(shown))
    for number, (name, color) in enumerate(BARS):
        values = 100 * np.array([getattr(figures, name) for figures in shown])
        places = rows + (number - 1) * BAR_HEIGHT
        label = "F1" if name == "f1" else name
        axes.barh(places, np.nan_to_num(values), BAR_HEIGHT, color=color, label=label)
        for place, value in zip(places, values, strict=True):
            if not value > 0:  # a bar of no length looks like one forgotten
                text = " none" if np.isnan(value) else " 0"
                axes.text(0, place, text, va="center", fontsize=7, color=style.GREY)
    for row, figures in zip(rows, shown, strict=True):
        if figures.recall_interval is not None:
            ends = [100 * end for end in figures.recall_interval]
            axes.plot(ends, [row, row], color=style.BLACK, linewidth=1.3, marker="|", markersize=5)
    labels = [f"{style.shortened(f.name, 28)} ({f.count})" for f in shown]
    axes.set_yticks(rows, labels, fontsize=9)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set(xlim=(0, 100), xlabel="%")
    axes.grid(visible=True, axis="x")
    axes.set_axisbelow(True)
