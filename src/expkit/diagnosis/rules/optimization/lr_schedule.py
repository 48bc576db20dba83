"""The learning rate over time: constant where it should fall, gone early, high at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from expkit.diagnosis.curves import TrainingCurves, all_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.remedies import one_digit
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import USUAL_ADAPTIVE_RATE, is_adaptive, lr_of

TRANSFORMERS = ("transformer", "vit", "deit", "swin", "beit", "dinov2", "cait", "eva02")


@dataclass(frozen=True, kw_only=True)
class LearningRateOscillates(Rule):
    """A constant rate, a loss that goes up and down and gets no better, and much still to learn."""

    min_epochs: Annotated[int, Ge(6)] = 12
    min_swing: Annotated[float, Gt(0)] = 0.08
    clear_swing: Annotated[float, Gt(0)] = 0.18
    min_turns: Annotated[float, Gt(0), Le(1)] = 0.5
    min_held_out_turns: Annotated[float, Gt(0), Le(1)] = 0.4
    min_loss_fraction: Annotated[float, Gt(0)] = 0.1
    max_loss_fraction: Annotated[float, Gt(0), Le(1)] = 0.9
    max_lr: Annotated[float, Gt(1)] = 3.0
    max_update_ratio: Annotated[float, Gt(0)] = 0.03

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            late = curves.losses[-max(6, curves.num_epochs // 3) :]
            if curves.num_epochs >= self.min_epochs and self._oscillates(curves, late):
                lr = lr_of(curves.evidence.config)
                yield self.finding(
                    "swings",
                    {
                        "learning_rate": lr,
                        "mean_loss": fmean(late),
                        "swing": swing(late),
                        "turning_fraction": turns(late),
                        "best_loss_before": min(curves.losses[: -len(late)]),
                    },
                    stage=curves.stage,
                    epoch=curves.num_epochs,
                    num_late=len(late),
                    lower_lr=one_digit(lr / 5),
                )
                return

    def _oscillates(self, curves: TrainingCurves, late: Sequence[float]) -> bool:
        if curves.level is None or not all(map(math.isfinite, curves.losses)) or min(late) <= 0:
            return False
        if max(curves.lrs) > 1.01 * min(curves.lrs[-len(late) :]):  # it falls already
            return False
        mean, before = fmean(late), fmean(curves.losses[-2 * len(late) : -len(late)])
        fraction = mean / curves.level
        no_better = before - mean < pstdev(late)
        if fraction > self.max_loss_fraction or not no_better or turns(late) < self.min_turns:
            return False
        if fraction > self.min_loss_fraction and swing(late) > self.min_swing:
            return self._has_large_steps(curves) or self._swings_clearly(curves, late)
        return fraction > self.min_loss_fraction / 2 and self._swings_clearly(curves, late)

    def _swings_clearly(self, curves: TrainingCurves, late: Sequence[float]) -> bool:
        """Tell whether the held-out loss swings too, by more than the chance of the batches."""
        held_out = curves.column(f"{curves.split}/loss")[-len(late) :]
        is_shared = (
            len(held_out) == len(late)
            and min(held_out) > 0
            and swing(held_out) > self.clear_swing
            and turns(held_out) >= self.min_held_out_turns
        )
        signals = curves.signals[-len(late) :]
        steps = max(curves.num_steps / curves.num_epochs, 1)
        chances = [float(each["step_loss"]["std"]) / math.sqrt(steps) for each in signals]
        is_chance = bool(chances) and pstdev(late) < 2 * fmean(chances)
        return is_shared and not is_chance and swing(late) > self.clear_swing

    def _has_large_steps(self, curves: TrainingCurves) -> bool:
        """Tell whether steps are larger than needed: else few samples or dropout make it swing."""
        good = estimate(curves.evidence, lr_of(curves.evidence.config))
        if good is not None:
            return max(curves.lrs) > self.max_lr * good
        return (curves.update_ratio or 0.0) > self.max_update_ratio


def swing(losses: Sequence[float]) -> float:
    return pstdev(losses) / fmean(losses)


def turns(losses: Sequence[float]) -> float:
    """The fraction of epochs where rising turns to falling or back; of mere noise two thirds."""
    changes = [after - before for before, after in pairwise(losses)]
    return fmean(before * after < 0 for before, after in pairwise(changes))


@dataclass(frozen=True, kw_only=True)
class ScheduleEndsEarly(Rule):
    """The rate is as good as zero long before the end, and the model had not done learning."""

    gone_fraction: Annotated[float, Gt(0), Lt(1)] = 0.01
    early_fraction: Annotated[float, Gt(0), Lt(1)] = 0.7
    min_loss_fraction: Annotated[float, Gt(0)] = 0.1
    high_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1
    min_fall: Annotated[float, Gt(0), Lt(1)] = 0.02

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            found = self._judge_zero(curves) or self._judge_gone(curves)
            if found is not None:
                yield found
                return

    def _judge_zero(self, curves: TrainingCurves) -> Finding | None:
        if max(curves.lrs) > 0 or curves.num_epochs <= curves.warmup_epochs:
            return None
        return self.finding(
            "zero",
            {"rates": curves.lrs[-3:], "last_loss": curves.losses[-1]},
            parts=by_steps(curves),
            stage=curves.stage,
            epoch=curves.num_epochs,
            later=max(1, curves.max_epochs // 3),
        )

    def _judge_gone(self, curves: TrainingCurves) -> Finding | None:
        peak = max(curves.lrs)
        gone = 1.001 * self.gone_fraction * peak  # 0.1 x 0.1 is a little more than 0.01
        useful = [i for i, lr in enumerate(curves.lrs) if lr > gone]
        if peak == 0 or curves.level is None:
            return None
        num_useful = useful[-1] + 1
        # two epochs at the low rate: the last of a schedule, or of one step, may be low by design
        is_early = num_useful <= self.early_fraction * curves.max_epochs
        if curves.num_epochs < num_useful + 2 or not is_early:
            return None
        loss = curves.losses[-1]
        is_high = loss > self.min_loss_fraction * curves.level
        if not is_high or not self._was_falling(curves, num_useful):
            return None
        return self.finding(
            "gone",
            {
                "useful_epochs": num_useful,
                "max_epochs": curves.max_epochs,
                "peak_rate": peak,
                "rate": curves.lrs[-1],
                "loss": loss,
                "constant_answer_loss": curves.level,
            },
            parts=by_steps(curves),
            stage=curves.stage,
            epoch=curves.num_epochs,
            gone_fraction=self.gone_fraction,
            later=max(1, curves.max_epochs // 3),
        )

    def _was_falling(self, curves: TrainingCurves, num_epochs: int) -> bool:
        """Tell whether the loss still fell over the last epochs at a high rate."""
        peak = max(curves.lrs)
        high = [i for i in range(num_epochs) if curves.lrs[i] >= self.high_fraction * peak]
        begin, end = max(high[-1] - 3, 0), high[-1]
        if begin == end:  # one epoch was all that it had
            return True
        return curves.losses[end] < curves.losses[begin] * (1 - self.min_fall) ** (end - begin)


def by_steps(curves: TrainingCurves) -> dict[str, bool]:
    """The part of a remedy for a learning rate that falls in steps, which may be later ones."""
    return {"later_steps": "every_epochs" in curves.evidence.config["schedule"]}


@dataclass(frozen=True, kw_only=True)
class WarmupMissing(Rule):
    """A transformer at full rate from its first step, and first steps that went up.

    Its early updates are the largest, where normalizers and attention are the least settled. A rise
    may also be recovered from only slowly, at a rate that a transformer seldom bears at once.
    """

    min_burst: Annotated[float, Gt(1)] = 3.0
    min_loss_fraction: Annotated[float, Gt(0)] = 0.8
    set_back_burst: Annotated[float, Gt(1)] = 1.4
    set_back_fraction: Annotated[float, Gt(0)] = 0.6
    set_back_start: Annotated[float, Gt(0)] = 0.95
    set_back_lr: Annotated[float, Gt(1)] = 5.0

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if not is_transformer(evidence):
            return
        for curves in all_curves(evidence):
            schedule = curves.evidence.config["schedule"]
            rises = schedule.get("warmup_epochs", 0) > 0 or "rise_fraction" in schedule
            if rises or "warmup_epochs" not in schedule:
                continue
            is_lost = curves.burst > self.min_burst and curves.is_stuck(self.min_loss_fraction)
            if is_lost or self._is_set_back(curves):
                yield self.finding(
                    "rose",
                    {
                        "burst_ratio": curves.burst,
                        "last_loss": curves.losses[-1],
                        "constant_answer_loss": curves.level,
                        "learning_rate": lr_of(curves.evidence.config),
                    },
                    stage=curves.stage,
                    epoch=curves.num_epochs,
                    warmup_epochs=max(1, min(5, curves.max_epochs // 10)),
                )
                return

    def _is_set_back(self, curves: TrainingCurves) -> bool:
        """The first epochs taught little, and the learning rate is far above a usual one."""
        if curves.level is None or curves.num_epochs < 3:
            return False
        lr, good = max(curves.lrs), estimate(curves.evidence, lr_of(curves.evidence.config))
        is_high = is_adaptive(curves.evidence.config) and lr > USUAL_ADAPTIVE_RATE
        return (
            is_high
            and good is not None
            and lr > self.set_back_lr * good
            and curves.burst > self.set_back_burst
            and curves.losses[0] > self.set_back_start * curves.level
            and min(curves.losses) > self.set_back_fraction * curves.level
        )


def is_transformer(evidence: Evidence) -> bool:
    model = evidence.config["model"]
    words = f"{model.get('_target_', '')} {model.get('name', '')}".lower()
    return any(word in words for word in TRANSFORMERS)
