"""Predicted beside true values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from expkit.metrics.classification import measure
from expkit.metrics.predictions import ValuePredictions
from expkit.records.run.reader import Run
from expkit.reports.formatting import samples_of
from expkit.reports.plots import style


def draw_regression(run: Run, folder: Path) -> list[Path]:
    """A scatter a target on the judged split; the diagonal is where a perfect model lies."""
    predictions = run.predictions.get(run.dataset.judged_split)
    if not isinstance(predictions, ValuePredictions):
        return []
    names = predictions.target_names
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure = style.new_figure(4.6 * columns, 4.4 * rows + 0.8)
    where = samples_of(predictions.split, len(predictions.targets))
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in measure(predictions).items())
    title = f"{run.name}\ntrue and predicted on {where}\n{metrics}"
    figure.suptitle(style.wrapped(title, 4.4 * columns), fontsize=11)
    for number, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, number + 1)
        true, predicted = predictions.targets[:, number], predictions.predictions[:, number]
        ends = np.concatenate([true, predicted[np.isfinite(predicted)]])
        low, high = float(ends.min()), float(ends.max())
        axes.plot([low, high], [low, high], color=style.GREY, linestyle="--", linewidth=1.2)
        alpha = 0.7 if len(true) <= 300 else 0.35
        axes.scatter(true, predicted, s=12, color=style.BLUE, alpha=alpha, linewidths=0)
        axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}")
        axes.grid(visible=True)
        axes.set_axisbelow(True)
    return [style.save(figure, folder / "regression.png")]
