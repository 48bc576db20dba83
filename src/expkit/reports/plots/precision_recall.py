"""Precision-recall curves of the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from expkit.metrics.percentages import percent
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.ranking import one_vs_rest
from expkit.records.run.reader import Run
from expkit.reports.formatting import samples_of
from expkit.reports.plots import style

MAX_LINES = 10


def draw_precision_recall(run: Run, folder: Path) -> list[Path]:
    """On the judged split: the second of two classes, or each of up to ten against the rest."""
    predictions = run.predictions.get(run.dataset.judged_split)
    if not isinstance(predictions, ClassPredictions) or len(predictions.class_names) > MAX_LINES:
        return []
    curves = [
        (number, belongs, scores)
        for number, belongs, scores in one_vs_rest(predictions)
        if belongs.any() and not belongs.all() and np.isfinite(scores).all()
    ]
    if not curves:
        return []
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure = style.new_figure(8.5, 5.4)
    axes = figure.add_subplot()
    where = samples_of(predictions.split, len(predictions.targets))
    title = f"{run.name}\nprecision over recall at every cut-off, on {where}"
    figure.suptitle(style.wrapped(title, 8), fontsize=11)
    for number, belongs, scores in curves:
        precision, recall, _ = precision_recall_curve(belongs, scores)
        name = style.shortened(predictions.class_names[number], 24)
        area = average_precision_score(belongs, scores)
        axes.plot(
            100 * recall,
            100 * precision,
            drawstyle="steps-post",
            color=style.LINES[number % len(style.LINES)],
            linestyle="-" if number < len(style.LINES) else "--",
            label=f"{name}: AP {area:.3f}",
        )
        if len(curves) == 1:
            level = float(belongs.mean())
            label = f"everything called {name}: {percent(level, 1)}"
            axes.axhline(100 * level, color=style.GREY, linestyle=":", label=label)
    axes.set(xlabel="recall in %", ylabel="precision in %", xlim=(0, 101), ylim=(0, 102))
    axes.grid(visible=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return [style.save(figure, folder / "precision_recall.png")]
