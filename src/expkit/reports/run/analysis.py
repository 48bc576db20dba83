"""The course of training in numbers: best and latest a split, the gap, and where it turned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.run.summary import is_gate

Records = Sequence[dict[str, Any]]

# of the lowest held-out loss: less than this above it is the noise of single epochs
RISE_FRACTION = 0.02


SHOWN = ("accuracy", "loss", "knn_accuracy", "linear_probe_accuracy")


@dataclass(frozen=True)
class Point:
    """A figure and the epoch that had it."""

    value: float
    epoch: int


@dataclass(frozen=True)
class Curve:
    """The curve of one metric over the epochs: `val/loss`."""

    name: str
    best: Point | None  # the first of equals; None where all were not finite
    latest: Point

    @classmethod
    def of(cls, records: Records, name: str) -> Curve | None:
        """None where no epoch recorded it."""
        points = [Point(r[name], r["epoch"]) for r in records if name in r]
        if not points:
            return None
        sign = -1 if name.endswith("accuracy") else 1
        finite = [point for point in points if math.isfinite(point.value)]
        best = min(finite, key=lambda point: sign * point.value, default=None)
        return cls(name, best, points[-1])


def analyze(run: Run) -> str:
    """Every stage that trained, as the terminal shows it; empty before the first epoch ended."""
    # the models of folds are no one course; nor is a gate's
    folds = {result.stage for result in run.stages if result.kind == "MistakeCollection"}
    stages = dict.fromkeys(record["stage"] for record in run.history)
    names = [stage for stage in stages if stage not in folds and not is_gate(run, stage)]
    parts = []
    for stage in names:
        records = [record for record in run.history if record["stage"] == stage]
        parts.append("\n".join(_stage_lines(run, stage, records)))
    return "\n\n".join(parts)


def _stage_lines(run: Run, stage: str, records: Records) -> list[str]:
    splits = dict.fromkeys(key.split("/")[0] for r in records for key in r if "/" in key)
    lines = [f"{run.name}: {stage}"]
    for split in splits:
        lines += ["", f"=== {split} ===", *_split_lines(records, split)]
    if "train" not in splits:
        return lines  # pre-trained without labels: nothing to hold against each other
    held_out = next((split for split in splits if split != "train"), None)
    if held_out is None:
        return [*lines, "", "No held-out split: nothing says whether this is learnt or memorised."]
    return [*lines, "", *_gap_lines(records, held_out), *_turn_lines(records, held_out)]


def _split_lines(records: Records, split: str) -> list[str]:
    lines = [f"Total epochs: {len(records)}"]
    courses = [Curve.of(records, f"{split}/{name}") for name in SHOWN]
    known = [course for course in courses if course is not None]
    lines += [f"Best {_shown(course, course.best)}" for course in known]
    return lines + [f"Latest {_shown(course, course.latest)}" for course in known]


def _shown(course: Curve, point: Point | None) -> str:
    metric = course.name.rpartition("/")[2]
    if point is None:
        return f"{metric}: never finite"
    is_loss = metric == "loss" and math.isfinite(point.value)
    value = f"{point.value:.6f}" if is_loss else formatting.figure(metric, point.value)
    return f"{metric}: {value} (epoch {point.epoch})"


def _gap_lines(records: Records, held_out: str) -> list[str]:
    """Train figures are means while the epoch ran, so that a small gap may have either sign."""
    metric = "accuracy" if f"{held_out}/accuracy" in records[-1] else "loss"
    sign = 1 if metric == "accuracy" else -1
    ours, theirs = records[-1]["train/" + metric], records[-1][f"{held_out}/{metric}"]
    gap = {"metric": metric, "split": held_out, "gap": sign * (ours - theirs)}
    if not math.isfinite(gap["gap"]):
        return []
    return [f"Gap at epoch {records[-1]['epoch']}: {formatting.gap(gap)}"]


def _turn_lines(records: Records, held_out: str) -> list[str]:
    course = Curve.of(records, f"{held_out}/loss")
    if course is None or course.best is None:
        return []
    best, latest = course.best, course.latest
    figures = f"lowest {best.value:.4g} at {best.epoch}, {latest.value:.4g} at {latest.epoch}"
    if best.epoch == latest.epoch:
        return [f"Held-out loss was lowest in the last epoch, {best.epoch}: {best.value:.4g}"]
    if latest.value <= (1 + RISE_FRACTION) * best.value:
        return [f"Held-out loss has not risen since its lowest: {figures}"]
    return [f"Held-out loss rose from epoch {best.epoch} on: {figures}"]
