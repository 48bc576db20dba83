"""The curves of a pre-training without labels: its loss, and what val shows of its features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from expkit.metrics.percentages import percent
from expkit.records.run.reader import Run
from expkit.records.run.schema import is_number
from expkit.reports.plots import style

Records = Sequence[dict[str, Any]]

LARGEST_BATCH = 10**9  # a larger one is no run's own word
PROBES = {
    "knn_accuracy": ("nearest neighbours", style.BLUE),
    "linear_probe_accuracy": ("linear probe", style.ORANGE),
}
SPREAD = {
    "alignment": ("alignment: squared distance\nof an image's two views", style.GREEN),
    "uniformity": ("uniformity: lower is wider", style.SKY),
}


def draw_pretraining(run: Run, stage: str, records: Records, path: Path) -> Path:
    """Draw the loss, the accuracies of probes beside those before it, and how wide features lie."""
    looks = [each for each in run.signals if _is_look(each, stage)]
    is_probed = any(name in look for look in looks for name in PROBES)
    heights = [3.0, *([2.6] if is_probed else []), 2.0, 1.2]
    figure = style.new_figure(9, sum(heights) + 1)
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    title = f"{run.name}\n{stage}: {len(records)} epochs without labels"
    figure.suptitle(style.wrapped(title, 8.6), fontsize=11)
    _draw_loss(panels[0], run, stage, records)
    if is_probed:
        _draw_probes(panels[1], run, looks)
    for name, (label, color) in SPREAD.items():
        _line(panels[-2], records, f"pretrain/{name}", label, color)
    panels[-2].set_ylabel("embeddings")
    panels[-1].set_ylabel("learning rate")
    _line(panels[-1], records, "lr", "", style.BLACK)
    panels[-1].set_ylim(bottom=0)
    best = next((each.best_epoch for each in run.stages if each.stage == stage), None)
    for panel in panels:
        _finish(panel, best)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return style.save(figure, path)


def _is_look(record: dict[str, Any], stage: str) -> bool:
    return bool(record["kind"] == "representation" and record["stage"] == stage)


def _draw_loss(axes: Axes, run: Run, stage: str, records: Records) -> None:
    axes.set_ylabel("loss (NT-Xent)")
    heads = dict.fromkeys(
        key for record in records for key in record if key.startswith("pretrain/loss_")
    )
    mean = "mean of the heads" if heads else "loss"
    _line(axes, records, "pretrain/loss", mean, style.BLACK)
    for number, key in enumerate(heads):
        color = style.LINES[number % len(style.LINES)]
        _line(axes, records, key, key.removeprefix("pretrain/loss_"), color)
    size = (run.config["procedure"].get(stage) or {}).get("batch_size")
    counts = [each.num_samples for each in run.stages if each.stage == stage]
    if isinstance(size, int) and 1 < size < LARGEST_BATCH:
        others = 2 * min(size, *counts, size) - 1
        if others > 1:
            label = f"all embeddings equal:\nln({others}) = {math.log(others):.3f}"
            axes.axhline(math.log(others), color=style.GREY, ls=":", lw=1.4, label=label)


def _draw_probes(axes: Axes, run: Run, looks: Records) -> None:
    axes.set_ylabel("accuracy in %, on val")
    for name, (label, color) in PROBES.items():
        _line(axes, looks, name, label, color, scale=100)
        for untrained in (look.get(name) for look in looks if look["epoch"] == 0):
            if untrained is None or not is_number(untrained):
                continue
            text = f"before: {percent(untrained, 1)}"
            axes.axhline(100 * untrained, color=color, ls=":", lw=1.2, label=text)
    majority = run.dataset_as_read.majority_accuracy(run.dataset_as_read.monitored_split)
    if majority is not None:
        label = f"largest class: {percent(majority, 1)}"
        axes.axhline(100 * majority, color=style.GREY, ls="--", lw=1.2, label=label)
    axes.set_ylim(-4, 104)


def _line(
    axes: Axes, records: Records, key: str, label: str, color: str, *, scale: float = 1.0
) -> None:
    points = [(each["epoch"], scale * each[key]) for each in records if is_number(each.get(key))]
    if points:
        marker = "o" if len(points) <= 30 else None
        axes.plot(*zip(*points, strict=True), color=color, label=label, marker=marker, ms=3.5)


def _finish(axes: Axes, best: int | None) -> None:
    axes.grid(visible=True, axis="y")
    if best is not None:
        axes.axvline(
            best, color=style.PURPLE, ls="-.", lw=1.2, zorder=1, label=f"best epoch: {best}"
        )
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
