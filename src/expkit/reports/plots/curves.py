"""Loss, accuracy and learning rate of a stage over its epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from expkit.records.run.reader import Run
from expkit.reports.plots import style
from expkit.reports.plots.pretraining import draw_pretraining
from expkit.reports.run.curve_lines import Level, accuracy_levels, loss_levels, train_label
from expkit.reports.run.summary import is_gate

Records = Sequence[dict[str, Any]]
Floats = npt.NDArray[np.float64]

TRAIN, HELD_OUT = style.BLUE, style.ORANGE
LOSS_OF_ZERO = 1e-8  # where a log axis shows a loss of 0, which it has no place for


def draw_curves(run: Run, folder: Path) -> list[Path]:
    """A plot a stage with more than one line in the history."""
    names = dict.fromkeys(record["stage"] for record in run.history)
    paths = []
    for stage in names:
        records = [record for record in run.history if record["stage"] == stage]
        path = folder / f"curves_{stage}.png"
        if len(records) > 1 and any("pretrain/loss" in record for record in records):
            paths.append(draw_pretraining(run, stage, records, path))
        elif len(records) > 1:
            paths.append(_draw_stage(run, stage, records, path))
    return paths


def _draw_stage(run: Run, stage: str, records: Records, path: Path) -> Path:
    with_accuracy = any("train/accuracy" in r or "val/accuracy" in r for r in records)
    heights = [3.2, *([2.6] if with_accuracy else []), 1.2]
    figure = style.new_figure(9, sum(heights) + 1)
    panels = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    unit = "step" if is_gate(run, stage) else "epoch"
    figure.suptitle(style.wrapped(_title(run, stage, records, unit), 8.6), fontsize=11)
    _draw_loss(panels[0], run, stage, records)
    if with_accuracy:
        _draw_accuracy(panels[1], run, stage, records)
    _draw_rate(panels[-1], records)
    best = next((r.best_epoch for r in run.stages if r.stage == stage), None)
    for panel in panels:
        _finish(panel, best, "passed: step" if unit == "step" else "best epoch:")
    panels[-1].set_xlabel(unit)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return style.save(figure, path)


def _title(run: Run, stage: str, records: Records, unit: str) -> str:
    held_out = any("val/loss" in record for record in records)
    where = "training and held-out samples" if held_out else "training samples only"
    folds = (run.config["procedure"].get(stage) or {}).get("num_folds")
    # a model a fold, one after another on one axis
    of_folds = f" of {folds} models, a fold each" if isinstance(folds, int) and folds > 1 else ""
    return f"{run.name}\n{stage}: {len(records)} {unit}s{of_folds}, {where}"


def _column(records: Records, key: str) -> Floats:
    return np.array([record.get(key, np.nan) for record in records], dtype=np.float64)


def _line(axes: Axes, records: Records, key: str, scale: float, color: str, label: str) -> None:
    epochs, values = _column(records, "epoch"), scale * _column(records, key)
    if key.endswith("/loss"):
        values[values <= 0] = LOSS_OF_ZERO
    if np.isfinite(values).any():
        marker = "o" if len(records) <= 30 else None
        axes.plot(epochs, values, color=color, label=label, marker=marker, markersize=3.5)


def _draw_loss(axes: Axes, run: Run, stage: str, records: Records) -> None:
    axes.set_ylabel("loss")
    _line(axes, records, "train/loss", 1, TRAIN, train_label(run, stage, "loss"))
    _line(axes, records, "val/loss", 1, HELD_OUT, "held out (val)")
    for level in loss_levels(run, stage):
        _level(axes, level.value, level)
    _make_logarithmic(axes)
    _mark_broken(axes, records)


def _make_logarithmic(axes: Axes) -> None:
    """With room at both ends, so that no level lies on the frame; a log axis may not touch 0."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (values.min(), values.max()) if len(values) else (0.1, 10)
    margin = max((high / low) ** 0.06, 1.1)
    axes.set_ylim(low / margin, high * margin)
    axes.set_yscale("log")
    style.plain_log_ticks(axes)


def _mark_broken(axes: Axes, records: Records) -> None:
    """Say where the loss was not a number; a gap in a line is easily overlooked."""
    losses = np.stack([_column(records, "train/loss"), _column(records, "val/loss")])
    recorded = [[key in record for record in records] for key in ("train/loss", "val/loss")]
    broken = _column(records, "epoch")[(~np.isfinite(losses) & recorded).any(axis=0)]
    if len(broken):
        axes.axvline(broken[0], color=style.RED, linewidth=1.5)
        text = f"loss not finite at {len(broken)} of {len(records)}, first at {broken[0]:.0f}"
        axes.set_title(text, color=style.RED, fontsize=10, loc="left")


def _draw_accuracy(axes: Axes, run: Run, stage: str, records: Records) -> None:
    label = train_label(run, stage, "accuracy")
    axes.set_ylabel("accuracy in %")
    _line(axes, records, "train/top5_accuracy", 100, style.SKY, "train, top 5")
    _line(axes, records, "train/accuracy", 100, TRAIN, label)
    _line(axes, records, "val/accuracy", 100, HELD_OUT, "held out (val)")
    axes.set_ylim(-4, 104)
    for level in accuracy_levels(run, stage):
        _level(axes, 100 * level.value, level)


def _level(axes: Axes, value: float, level: Level) -> None:
    axes.axhline(value, color=style.GREY, linestyle=level.line, linewidth=1.4, label=level.label)


def _draw_rate(axes: Axes, records: Records) -> None:
    axes.set_ylabel("learning rate")
    _line(axes, records, "lr", 1, style.BLACK, "")
    axes.set_ylim(bottom=0)
    if axes.get_ylim()[1] < 1e-2:
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _finish(axes: Axes, best: int | None, mark: str) -> None:
    axes.grid(visible=True, axis="y")
    handles, labels = axes.get_legend_handles_labels()
    if best is not None:
        line = axes.axvline(best, color=style.PURPLE, linestyle="-.", linewidth=1.2, zorder=1)
        handles, labels = [*handles, line], [*labels, f"{mark} {best}"]
    shown = [(h, t) for h, t in zip(handles, labels, strict=True) if t]
    if len(shown) > 1 or (shown and not axes.get_ylabel().startswith("learning")):
        axes.legend(*zip(*shown, strict=True), loc="center left", bbox_to_anchor=(1.01, 0.5))
