"""Risk over coverage: how wrong a model is on the samples that it is surest of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from expkit.metrics.selective_prediction import RiskCoverage, risk_coverages
from expkit.records.run.reader import Run
from expkit.reports.formatting import samples_of
from expkit.reports.plots import style

COLORS = {"confidence": style.BLUE, "uncertainty": style.ORANGE}


def draw_risk_coverage(run: Run, folder: Path) -> list[Path]:
    """On the judged split; nothing where no prediction is wrong: every order is the best one."""
    predictions = run.predictions.get(run.dataset.judged_split)
    curves = {} if predictions is None else risk_coverages(predictions)
    if predictions is None or not any(curve.num_wrong for curve in curves.values()):
        return []
    figure = style.new_figure(8.5, 5.2)
    axes = figure.add_subplot()
    for name, curve in curves.items():
        label = f"by {name}:\nAURC {curve.area:.4g}"
        coverages, risks = 100 * curve.coverages, 100 * curve.risks
        axes.plot(coverages, risks, color=COLORS[name], label=label)
    any_curve = next(iter(curves.values()))
    best = best_order(any_curve)
    label = f"errors last:\nAURC {best.area:.4g}"
    axes.plot(
        100 * best.coverages, 100 * best.risks, color=style.GREEN, linestyle="--", label=label
    )
    error = 100 * any_curve.risks[-1]
    label = f"no order:\nAURC {any_curve.risks[-1]:.4g}"
    axes.axhline(error, color=style.GREY, linestyle=":", label=label)
    where = samples_of(predictions.split, len(predictions.samples))
    title = f"{run.name}\nerrors among the surest of {where}"
    figure.suptitle(style.wrapped(title, 8), fontsize=11)
    top = max(float(curve.risks.max()) for curve in curves.values())
    axes.set(
        xlabel="samples kept, the surest first, in %",
        ylabel="wrong among them in %",
        xlim=(0, 100),
        ylim=(0, min(102.0, 105 * top)),
    )
    axes.grid(visible=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return [style.save(figure, folder / "risk_coverage.png")]


def best_order(curve: RiskCoverage) -> RiskCoverage:
    """Return the curve of the same predictions with every error behind all right ones."""
    is_wrong = np.arange(len(curve.risks)) >= len(curve.risks) - curve.num_wrong
    found = RiskCoverage.by(-is_wrong.astype(np.float64), is_wrong)
    assert found is not None, "its scores are finite"
    return found
