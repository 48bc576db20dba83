"""The curve on which a class's cut-offs were chosen, and where they fall on the other half."""

from __future__ import annotations

from pathlib import Path

from expkit.records.predictions import ClassPredictions
from expkit.records.run import Run
from expkit.records.thresholds import MAYBE, Threshold
from expkit.reports import style
from expkit.reports.cutoffs import Half, split_halves
from expkit.reports.wording import percent


def draw_threshold(run: Run, folder: Path) -> list[Path]:
    """Precision over recall of both halves with the two cut-offs; nothing without a threshold."""
    threshold = Threshold.read(run.path)
    answers = None if threshold is None else run.predictions.get(threshold.split)
    if threshold is None or not isinstance(answers, ClassPredictions):
        return []
    from sklearn.metrics import precision_recall_curve

    halves = split_halves(answers, threshold.class_name, threshold.seed)
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
            label=f"{label} {len(half.scores)} samples",
        )
    cuts = (("low", threshold.low, "v", style.ORANGE), ("high", threshold.high, "^", style.GREEN))
    for name, cut, marker, color in cuts:
        if cut is not None:
            place = _place(halves[1], cut)
            label = f"{name} cut-off {cut:.4g}"
            axes.plot(*place, marker, color=color, markersize=9, label=label, linestyle="none")
    axes.axvline(100 * threshold.asked_recall, color=style.PURPLE, linestyle=":", label="asked")
    axes.axhline(100 * threshold.asked_precision, color=style.PURPLE, linestyle=":")
    share = threshold.evidence["confirmed_on"][MAYBE]["share"]
    title = f"{run.name}\n{threshold.class_name}: {percent(share)} sent to {MAYBE}, on the half "
    title += f"of {threshold.split} that did not choose"
    figure.suptitle(style.wrapped(title, 8), fontsize=11)
    axes.set(xlabel="recall in %", ylabel="precision in %", xlim=(0, 102), ylim=(0, 103))
    axes.grid(visible=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return [style.save(figure, folder / "threshold.png")]


def _place(half: Half, cut: float) -> tuple[float, float]:
    """Recall and precision in percent; calling nothing the class is never wrong."""
    called = half.scores >= cut
    right = int((called & half.belongs).sum())
    recall = right / int(half.belongs.sum())
    precision = right / int(called.sum()) if called.any() else 1.0
    return 100 * recall, 100 * precision
