"""The curve on which a class's cut-offs were chosen, and where they fall on the other half."""

from __future__ import annotations

import re
from pathlib import Path

from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.task_types import MAYBE
from expkit.metrics.thresholds import Half, split_halves
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import Threshold, read_thresholds
from expkit.reports.formatting import percent
from expkit.reports.plots import style
from expkit.reports.run.temperature_fit import predictions_at
from expkit.reports.run.threshold_page import WORDS, too_few


def draw_thresholds(run: Run, folder: Path) -> list[Path]:
    """A plot for each class that has a threshold."""
    drawn = []
    for number, threshold in enumerate(read_thresholds(run.path), start=1):
        predictions = predictions_at(run, threshold.split, threshold.temperature)
        if isinstance(predictions, ClassPredictions):
            name = re.sub(r"[^\w-]+", "_", threshold.class_name)[:60]
            path = folder / f"threshold_{number}_{name}.png"
            drawn.append(_draw(run, threshold, predictions, path))
    return drawn


def _draw(run: Run, threshold: Threshold, predictions: ClassPredictions, path: Path) -> Path:
    """Precision over recall of both halves, with the cut-offs and what was asked."""
    from sklearn.metrics import precision_recall_curve

    halves = split_halves(predictions, threshold.class_name, threshold.seed)
    figure = style.new_figure(8.5, 5.6)
    axes = figure.add_subplot()
    looks = (("chosen on", style.GREY, "--"), ("confirmed on", style.BLUE, "-"))
    for half, (label, color, line) in zip(halves, looks, strict=True):
        precision, recall, _ = precision_recall_curve(half.belongs, half.scores)
        axes.plot(
            100 * recall,
            100 * precision,
            drawstyle="steps-post",
            color=color,
            linestyle=line,
            label=f"{label} {len(half.scores)} samples,\n"
            f"{int(half.belongs.sum())} of {style.shortened(threshold.class_name, 24)}",
        )
    for name, cut, marker, color in _cuts(threshold):
        place = _place(halves[1], cut)
        label = f"{name} {cut:.4g}"
        axes.plot(*place, marker, color=color, markersize=9, label=label, linestyle="none")
    asked = {"recall": threshold.asked_recall, "precision": threshold.asked_precision}
    for name, bound in asked.items():
        if bound is not None:
            draw = axes.axvline if name == "recall" else axes.axhline
            label = f"asked: {name} {percent(bound)}"
            draw(100 * bound, color=style.PURPLE, linestyle=":", label=label)
    title = f"{run.name}\n{threshold.class_name}: {WORDS[threshold.verdict]} on the half of "
    title += f"{threshold.split} that did not choose"
    if threshold.low != threshold.high:
        fraction = threshold.evidence["confirmed_on"][MAYBE]["fraction"]
        title += f"; {percent(fraction)} sent to {MAYBE}"
    title += "".join(f"\n{sentence}" for sentence in too_few(threshold))
    figure.suptitle(style.wrapped(title, 8), fontsize=11)
    axes.set(xlabel="recall in %", ylabel="precision in %", xlim=(0, 102), ylim=(0, 103))
    axes.grid(visible=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return style.save(figure, path)


def _cuts(threshold: Threshold) -> list[tuple[str, float, str, str]]:
    """One where it does for both ends, else the low and the high one."""
    if threshold.high == threshold.low:
        return [("cut-off", threshold.low, "o", style.ORANGE)]
    cuts = [("low cut-off", threshold.low, "v", style.ORANGE)]
    if threshold.high is not None:
        cuts.append(("high cut-off", threshold.high, "^", style.GREEN))
    return cuts


def _place(half: Half, cut: float) -> tuple[float, float]:
    """Recall and precision in percent; calling nothing the class is never wrong."""
    called = half.scores >= cut
    right = int((called & half.belongs).sum())
    recall = right / int(half.belongs.sum())
    precision = right / int(called.sum()) if called.any() else 1.0
    return 100 * recall, 100 * precision
