"""Rules on the curves of training: no progress, best epoch first or last, at chance, diverged."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import TrainingCurves, all_curves, last_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import minutes, noise, slope
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.remedies import lower_lr, one_digit, ways_to_redraw
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class NoImprovement(Rule):
    """Epochs go by, and no metric gets better."""

    min_epochs: Annotated[int, Ge(1)] = 10
    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.25
    costly_minutes: Annotated[float, Gt(0)] = 30.0

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        curves = last_curves(evidence)
        if curves is None or not curves.may_have_patience:
            return
        best = curves.last_progress
        if best is None:
            return
        idle = curves.num_epochs - 1 - best
        if idle < max(self.min_epochs, self.min_fraction * curves.max_epochs):
            return
        best_epoch, seconds = curves.records[best]["epoch"], curves.seconds_per_epoch
        left = 0 if curves.is_over else curves.max_epochs - curves.last_epoch
        is_costly = left * seconds > 60 * self.costly_minutes
        yield self.finding(
            "under_way" if left else "ended",
            {
                "best epoch": best_epoch,
                "epochs since": idle,
                "seconds an epoch": seconds,
                "epochs left": left,
                "minutes left": left * seconds / 60,
            },
            severity="warning" if is_costly else "info",
            stage=curves.stage,
            epoch=curves.last_epoch,
            split=curves.split,
            cost=minutes((left or idle) * seconds),
            patience=max(self.min_epochs, best_epoch // 4),
        )


@dataclass(frozen=True, kw_only=True)
class BestEpochFirst(Rule):
    """Nothing that training did after its first epoch made the net better."""

    min_epochs: Annotated[int, Ge(2)] = 5
    min_sigmas: Annotated[float, Gt(0)] = 2.0
    min_rise: Annotated[float, Gt(0)] = 0.1

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        curves = last_curves(evidence)
        if curves is None or not curves.is_over or len(curves.monitored) < self.min_epochs:
            return
        first, *later = curves.monitored
        after = statistics.fmean(later[-3:])
        change = after - first if curves.monitor_falls else first - after
        if curves.best != 0 or change <= self.min_sigmas * noise(later):
            return  # all alike, such as all right from the first epoch on
        goes_on = any(curves.config.get(key) for key in ("start_from", "start_from_run"))
        is_grave = change >= self.min_rise * abs(first) and not goes_on
        yield self.finding(
            "first",
            {
                curves.monitor: first,
                "at the end": after,
                "noise of an epoch": noise(later),
                "epochs": len(curves.monitored),
            },
            severity="warning" if is_grave else "info",
            stage=curves.stage,
            epoch=1,
            monitor=curves.monitor,
            first=first,
            lower_lr=lower_lr(curves.evidence),
        )


@dataclass(frozen=True, kw_only=True)
class BestEpochLast(Rule):
    """The model was still getting better when training ended."""

    min_epochs: Annotated[int, Ge(3)] = 6
    min_sigmas: Annotated[float, Gt(0)] = 2.0

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        curves = last_curves(evidence)
        if curves is None or not curves.is_over:
            return
        values = curves.monitored
        if not self.min_epochs <= curves.max_epochs == len(values):
            return
        third = values[-max(3, len(values) // 3) :]
        gain = -slope(third) if curves.monitor_falls else slope(third)
        is_last = curves.best == len(values) - 1
        if is_last and gain * len(third) > self.min_sigmas * curves.noise:
            yield self.finding(
                "last",
                {
                    "epochs": len(values),
                    curves.monitor: values[-1],
                    "gain an epoch": gain,
                    "noise of an epoch": curves.noise,
                    "minutes for as many again": len(values) * curves.seconds_per_epoch / 60,
                },
                stage=curves.stage,
                epoch=len(values),
                monitor=curves.monitor,
                num_last=len(third),
                longer=twice_as_long(curves),
            )


def twice_as_long(curves: TrainingCurves) -> str:
    """The setting that ended training, doubled: minutes where these ran out before the epochs."""
    minutes = curves.config.get("max_minutes")
    if minutes is not None and curves.max_epochs < int(curves.config["max_epochs"]):
        return f"max_minutes={2 * minutes:g}"
    return f"max_epochs={2 * curves.max_epochs}"


@dataclass(frozen=True, kw_only=True)
class LossAtChance(Rule):
    """The training loss is that of a constant prediction, and nothing says that it will leave it.

    A slow start looks alike for some epochs, but its gradients live: the backbones of the puzzle
    lie within a thousandth of ln C for five epochs of eight steps, and then fall.
    """

    tolerance: Annotated[float, Gt(0)] = 0.02
    max_level: Annotated[float, Gt(1)] = 1.5
    max_fall: Annotated[float, Gt(0)] = 0.002
    min_epochs: Annotated[int, Ge(4)] = 10
    min_steps: Annotated[int, Gt(0)] = 1000

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if evidence.metadata.task != "classification":
            return
        for curves in all_curves(evidence):
            if self._is_at_chance(curves) and (curves.has_died or self._is_flat(curves)):
                yield self.finding(
                    "dead" if curves.has_died else "flat",
                    {
                        "loss": curves.losses[-1],
                        "constant_answer_loss": curves.level,
                        "chance_loss": evidence.metadata_of(curves.stage).chance_loss,
                        "num_steps": curves.num_steps,
                        "gradients_have_ceased": curves.has_died,
                    },
                    remedies=[
                        *ways_to_redraw(evidence),
                        [f"optimizer.lr={one_digit(lower_lr(curves.evidence)):g}"],
                    ],
                    stage=curves.stage,
                    epoch=curves.num_epochs,
                )
                return

    def _is_at_chance(self, curves: TrainingCurves) -> bool:
        level, recent = curves.level, curves.losses[-3:]
        if level is None or curves.num_epochs < 3:
            return False
        return all((1 - self.tolerance) * level < loss < self.max_level * level for loss in recent)

    def _is_flat(self, curves: TrainingCurves) -> bool:
        """Tell whether the loss had time to leave chance, and is no lower than at half the time."""
        if curves.num_epochs < self.min_epochs or curves.num_steps < self.min_steps:
            return False
        if curves.num_epochs <= curves.warmup_epochs + 3:
            return False
        half = curves.num_epochs // 2
        middle = sum(curves.losses[half - 1 : half + 2]) / 3
        return curves.recent_loss() > (1 - self.max_fall) * middle


@dataclass(frozen=True, kw_only=True)
class Diverged(Rule):
    """The loss is no number any more, or far above where it began."""

    growth: Annotated[float, Gt(1)] = 3.0
    min_kept: Annotated[float, Gt(0), Le(1)] = 0.8

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for stage in [*evidence.trainings, *evidence.gates]:
            bad = next((each for each in evidence.epochs(stage) if not_finite(each)), None)
            if bad is not None:
                yield self._not_finite(evidence, stage, bad)
                return
        for curves in all_curves(evidence):
            start = max(curves.level or 0.0, curves.first_loss or 0.0)
            before, last = curves.losses[-2:] if curves.num_epochs > 2 else (0.0, 0.0)
            is_high = start > 0 and min(before, last) > self.growth * start
            if is_high and last > self.min_kept * before:
                yield self.finding(
                    "grown",
                    {"loss": last, "first_loss": start, "growth": last / start},
                    stage=curves.stage,
                    epoch=curves.num_epochs,
                    lower_lr=one_digit(lower_lr(curves.evidence)),
                )
                return

    def _not_finite(self, evidence: Evidence, stage: str, record: Record) -> Finding:
        """The finding on the first loss that is no number, as closely as that was recorded."""
        epoch, name = record["epoch"], not_finite(record)[0]
        signals = [each for each in evidence.of_kind("epoch", stage) if each["epoch"] == epoch]
        signal = signals[0] if signals else {}
        step, origin = signal.get("first_non_finite_step"), signal.get("origin") or {}
        return self.finding(
            "not_finite",
            {"epoch": epoch, name: record[name], "step": step, "origin": dict(origin)},
            parts={"at_step": bool(step), "in_layer": bool(origin.get("layer"))},
            stage=stage,
            epoch=epoch,
            metric=name,
            value=record[name],
            lower_lr=one_digit(lower_lr(evidence)),
        )


def not_finite(record: Record) -> list[str]:
    """The losses of an epoch that are no numbers."""
    return [k for k, value in record.items() if k.endswith("/loss") and not math.isfinite(value)]
