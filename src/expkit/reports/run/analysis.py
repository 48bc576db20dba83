"""The course of training in numbers: best and latest a split, the gap, and where it turned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class Turn:
    """The held-out loss at its lowest and at its last."""

    split: str
    lowest: Point
    latest: Point

    @property
    def rose(self) -> bool:
        """Tell whether it rose since by more than the noise of single epochs."""
        return not self.latest.value <= (1 + RISE_FRACTION) * self.lowest.value


@dataclass(frozen=True)
class StageCurves:
    """The course of one stage that trained."""

    stage: str
    num_epochs: int
    curves: Mapping[str, Sequence[Curve]]  # by split
    gap: Mapping[str, Any] | None  # of the last epoch; None without a held-out split
    turn: Turn | None

    @classmethod
    def of(cls, stage: str, records: Records) -> StageCurves:
        splits = dict.fromkeys(key.split("/")[0] for r in records for key in r if "/" in key)
        curves = {}
        for split in splits:
            found = [Curve.of(records, f"{split}/{name}") for name in SHOWN]
            curves[split] = [curve for curve in found if curve is not None]
        held_out = next((split for split in splits if split != "train"), None)
        if "train" not in splits or held_out is None:
            return cls(stage, len(records), curves, None, None)
        gap, turn = _gap(records, held_out), _turn(records, held_out)
        return cls(stage, len(records), curves, gap, turn)


def stage_curves(run: Run) -> list[StageCurves]:
    """Every stage that trained; none before the first epoch ended."""
    # the models of folds are no one course; nor is a gate's
    folds = {result.stage for result in run.stages if result.kind == "MistakeCollection"}
    stages = dict.fromkeys(record["stage"] for record in run.history)
    names = [stage for stage in stages if stage not in folds and not is_gate(run, stage)]
    return [
        StageCurves.of(stage, [record for record in run.history if record["stage"] == stage])
        for stage in names
    ]


def analysis_screen(name: str, stages: Sequence[StageCurves]) -> str:
    """Write every stage of a run as the terminal shows it."""
    return "\n\n".join("\n".join(_stage_lines(name, each)) for each in stages)


def _stage_lines(name: str, found: StageCurves) -> list[str]:
    lines = [f"{name}: {found.stage}"]
    for split, curves in found.curves.items():
        lines += ["", f"=== {split} ===", f"Total epochs: {found.num_epochs}"]
        lines += [f"Best {_shown(curve, curve.best)}" for curve in curves]
        lines += [f"Latest {_shown(curve, curve.latest)}" for curve in curves]
    if "train" not in found.curves:
        return lines  # pre-trained without labels: nothing to hold against each other
    if found.curves.keys() == {"train"}:
        return [*lines, "", "No held-out split: nothing says whether this is learnt or memorised."]
    return [*lines, "", *_gap_lines(found), *_turn_lines(found.turn)]


def _shown(curve: Curve, point: Point | None) -> str:
    metric = curve.name.rpartition("/")[2]
    if point is None:
        return f"{metric}: never finite"
    is_loss = metric == "loss" and math.isfinite(point.value)
    value = f"{point.value:.6f}" if is_loss else formatting.figure(metric, point.value)
    return f"{metric}: {value} (epoch {point.epoch})"


def _gap(records: Records, held_out: str) -> dict[str, Any] | None:
    """Train figures are means while the epoch ran, so that a small gap may have either sign."""
    metric = "accuracy" if f"{held_out}/accuracy" in records[-1] else "loss"
    sign = 1 if metric == "accuracy" else -1
    ours, theirs = records[-1]["train/" + metric], records[-1][f"{held_out}/{metric}"]
    gap = {"metric": metric, "split": held_out, "gap": sign * (ours - theirs)}
    return {**gap, "epoch": records[-1]["epoch"]} if math.isfinite(gap["gap"]) else None


def _gap_lines(found: StageCurves) -> list[str]:
    if found.gap is None:
        return []
    return [f"Gap at epoch {found.gap['epoch']}: {formatting.gap(found.gap)}"]


def _turn(records: Records, held_out: str) -> Turn | None:
    curve = Curve.of(records, f"{held_out}/loss")
    if curve is None or curve.best is None:
        return None
    return Turn(held_out, curve.best, curve.latest)


def _turn_lines(turn: Turn | None) -> list[str]:
    if turn is None:
        return []
    best, latest = turn.lowest, turn.latest
    figures = f"lowest {best.value:.4g} at {best.epoch}, {latest.value:.4g} at {latest.epoch}"
    if best.epoch == latest.epoch:
        return [f"Held-out loss was lowest in the last epoch, {best.epoch}: {best.value:.4g}"]
    if not turn.rose:
        return [f"Held-out loss has not risen since its lowest: {figures}"]
    return [f"Held-out loss rose from epoch {best.epoch} on: {figures}"]
