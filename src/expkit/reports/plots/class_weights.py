"""The class weights of a loss that adapts them, over the epochs of each stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from expkit.records.files import Record
from expkit.records.run.reader import Run
from expkit.reports.plots import style

KIND = "class_weights"


def draw_class_weights(run: Run, folder: Path) -> list[Path]:
    """A plot a stage whose loss recorded its weights in more than one epoch."""
    by_stage: dict[str, list[Record]] = {}
    for signal in run.signals:
        if signal["kind"] == KIND and _is_whole(signal):
            by_stage.setdefault(signal["stage"], []).append(signal)
    return [
        _draw(run, stage, records, folder / f"class_weights_{stage}.png")
        for stage, records in by_stage.items()
        if len(records) > 1 and len({len(each["weights"]) for each in records}) == 1
    ]


def _is_whole(signal: Record) -> bool:
    """A stranger's line may hold anything."""
    names, weights = signal.get("class_names"), signal.get("weights")
    if not isinstance(names, list) or not isinstance(weights, list):
        return False
    return len(names) == len(weights) > 0 and all(isinstance(w, int | float) for w in weights)


def _draw(run: Run, stage: str, records: list[Record], path: Path) -> Path:
    """A line a class; of many, those whose weight moved the most have names and colours."""
    epochs = [record["epoch"] for record in records]
    weights_EC = np.array([record["weights"] for record in records], dtype=np.float64)
    names = [str(name) for name in records[-1]["class_names"]]
    moved = np.ptp(weights_EC, axis=0)
    named = sorted(np.argsort(-moved, kind="stable")[: len(style.LINES)].tolist())
    figure = style.new_figure(9, 4.6)
    axes = figure.add_subplot()
    for color, index in zip(style.LINES, named, strict=False):
        label = style.shortened(names[index], 24)
        axes.plot(epochs, weights_EC[:, index], color=color, label=label)
    if others := [i for i in range(len(names)) if i not in named]:
        lines = axes.plot(epochs, weights_EC[:, others], color=style.GREY, linewidth=0.6, alpha=0.5)
        lines[0].set_label(f"{len(others)} others")
    title = f"{run.name}\n{stage}: the weight of each class in the training loss"
    figure.suptitle(style.wrapped(title, 8.6), fontsize=11)
    axes.set(xlabel="epoch", ylabel="weight at the end of the epoch", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return style.save(figure, path)
