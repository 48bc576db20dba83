"""The learning rate over time: constant where it should fall, gone early, high at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import (
    USUAL_ADAPTIVE_RATE,
    TrainingCurves,
    all_curves,
    is_adaptive,
    lr_of,
    plainly,
)
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column
from expkit.diagnosis.finding import Finding, counted
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent

TRANSFORMERS = ("transformer", "vit", "deit", "swin", "beit", "dinov2", "cait", "eva02")


@dataclass(frozen=True, kw_only=True)
class LearningRateOscillates(Rule):
    """A constant rate, a loss that goes up and down and gets no better, and much still to learn."""

    min_epochs: Annotated[int, Ge(6)] = 12
    min_swing: Annotated[float, Gt(0)] = 0.08  # standard deviation of the epochs' losses, of a mean
    clear_swing: Annotated[float, Gt(0)] = 0.18  # which needs no measure of the steps beside it
    min_loss_fraction: Annotated[float, Gt(0)] = (
        0.1  # of a constant prediction's: below, all is learnt
    )

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            late = curves.losses[-max(6, curves.num_epochs // 3) :]
            if curves.num_epochs >= self.min_epochs and self._oscillates(curves, late):
                yield self._tell(curves, late)
                return

    def _oscillates(self, curves: TrainingCurves, late: Sequence[float]) -> bool:
        if curves.level is None or not all(map(math.isfinite, curves.losses)) or min(late) <= 0:
            return False
        if max(curves.lrs) > 1.01 * min(curves.lrs[-len(late) :]):  # it falls already
            return False
        mean, before = fmean(late), fmean(curves.losses[-2 * len(late) : -len(late)])
        fraction = mean / curves.level
        no_better = before - mean < pstdev(late)
        if fraction > 0.9 or not no_better or turns(late) < 0.5:
            return False
        if fraction > self.min_loss_fraction and swing(late) > self.min_swing:
            return has_large_steps(curves) or self._swings_clearly(curves, late)
        return fraction > self.min_loss_fraction / 2 and self._swings_clearly(curves, late)

    def _swings_clearly(self, curves: TrainingCurves, late: Sequence[float]) -> bool:
        """So far that it is no chance of the batches, and the held-out loss with it."""
        held_out = column(curves.records, f"{curves.evidence.monitored}/loss")[-len(late) :]
        is_shared = len(held_out) == len(late) and min(held_out) > 0
        is_shared = is_shared and swing(held_out) > self.clear_swing and turns(held_out) >= 0.4
        signals = curves.signals[-len(late) :]
        steps = max(curves.num_steps / curves.num_epochs, 1)
        chances = [float(each["step_loss"]["std"]) / math.sqrt(steps) for each in signals]
        is_chance = bool(chances) and pstdev(late) < 2 * fmean(chances)
        return is_shared and not is_chance and swing(late) > self.clear_swing

    def _tell(self, curves: TrainingCurves, late: Sequence[float]) -> Finding:
        lr = lr_of(curves.evidence.config)
        return Finding(
            severity="warning",
            sentence=f"for {len(late)} epochs the training loss has swung by "
            f"{percent(swing(late), 0)} "
            f"around {fmean(late):.3g} at the constant learning rate {lr:g}, and gets no better",
            evidence={
                "learning_rate": lr,
                "mean_loss": fmean(late),
                "swing": swing(late),
                "turning_fraction": turns(late),
                "best_loss_before": min(curves.losses[: -len(late)]),
            },
            cause="steps of this size leap over what is left to learn; a decaying learning rate "
            "settles",
            remedies=[["schedule=cosine"], [f"optimizer.lr={plainly(lr / 5)}"]],
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def has_large_steps(curves: TrainingCurves) -> bool:
    """Larger than what should do: else it is few samples or dropout that make the loss swing."""
    good = estimate(curves.evidence, lr_of(curves.evidence.config))
    if good is not None:
        return max(curves.lrs) > 3 * good
    return (curves.update_ratio or 0.0) > 0.03


def swing(losses: Sequence[float]) -> float:
    return pstdev(losses) / fmean(losses)


def turns(losses: Sequence[float]) -> float:
    """The share of epochs at which rising turns to falling or back; of mere noise two thirds."""
    changes = [after - before for before, after in pairwise(losses)]
    return fmean(before * after < 0 for before, after in pairwise(changes))


@dataclass(frozen=True, kw_only=True)
class ScheduleEndsEarly(Rule):
    """The rate is as good as zero long before the end, and the model had not done learning."""

    gone_fraction: Annotated[float, Gt(0), Lt(1)] = 0.01  # of the highest rate so far
    early_fraction: Annotated[float, Gt(0), Lt(1)] = 0.7  # of the epochs
    min_loss_fraction: Annotated[float, Gt(0)] = (
        0.1  # of a constant prediction's: below, all is learnt
    )

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            found = self._judge_zero(curves) or self._judge_gone(curves)
            if found is not None:
                yield found
                return

    def _judge_zero(self, curves: TrainingCurves) -> Finding | None:
        if max(curves.lrs) > 0 or curves.num_epochs <= curves.warmup_epochs:
            return None
        return Finding(
            severity="fatal",
            sentence=f"the learning rate was 0 from first to last: "
            f"{counted(curves.num_epochs, 'epoch')}",
            evidence={"rates": curves.lrs[-3:], "last_loss": curves.losses[-1]},
            cause="the schedule or the optimizer sets the learning rate to 0: nothing can be "
            "learnt",
            remedies=remedies_for(curves),
            stage=curves.stage,
            epoch=curves.num_epochs,
        )

    def _judge_gone(self, curves: TrainingCurves) -> Finding | None:
        peak = max(curves.lrs)
        gone = 1.001 * self.gone_fraction * peak  # 0.1 x 0.1 is a little more than 0.01
        useful = [i for i, lr in enumerate(curves.lrs) if lr > gone]
        if peak == 0 or curves.level is None:
            return None
        num_useful = useful[-1] + 1
        # two epochs at the low rate: the last of a schedule, or of one step, may be low by design
        if (
            curves.num_epochs < num_useful + 2
            or num_useful > self.early_fraction * curves.max_epochs
        ):
            return None
        loss = curves.losses[-1]
        if not loss > self.min_loss_fraction * curves.level or not was_falling(curves, num_useful):
            return None
        return Finding(
            severity="warning",
            sentence=f"after epoch {num_useful} of {curves.max_epochs} the learning rate is at "
            "most "
            f"{percent(self.gone_fraction, 0)} of its peak, while the loss was still falling: "
            f"{loss:.3g}",
            evidence={
                "useful_epochs": num_useful,
                "max_epochs": curves.max_epochs,
                "peak_rate": peak,
                "rate": curves.lrs[-1],
                "loss": loss,
                "constant_answer_loss": curves.level,
            },
            cause="the schedule ends long before the training does",
            remedies=remedies_for(curves),
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def was_falling(curves: TrainingCurves, num_epochs: int) -> bool:
    """Tell whether the last epochs at a high rate still bettered the loss, by a fiftieth each."""
    peak = max(curves.lrs)
    high = [i for i in range(num_epochs) if curves.lrs[i] >= 0.1 * peak]
    begin, end = max(high[-1] - 3, 0), high[-1]
    if begin == end:  # one epoch was all that it had
        return True
    return curves.losses[end] < curves.losses[begin] * 0.98 ** (end - begin)


def remedies_for(curves: TrainingCurves) -> list[list[str]]:
    """Another schedule, and where the rate falls in steps, later ones."""
    remedies = [["schedule=cosine"], ["schedule=constant"]]
    if "every_epochs" in curves.evidence.config["schedule"]:
        later = max(1, curves.max_epochs // 3)
        remedies.insert(0, [f"schedule.every_epochs={later}"])
    return remedies


@dataclass(frozen=True, kw_only=True)
class WarmupMissing(Rule):
    """A transformer at full rate from its first step, and first steps that went up.

    Its early updates are the largest, where normalizers and attention are the least settled.
    """

    min_burst: Annotated[float, Gt(1)] = 3.0  # of the loss, to the one before any step
    min_loss_fraction: Annotated[float, Gt(0)] = 0.8  # of a constant prediction's
    # a rise that is recovered from only slowly, at a rate that a transformer seldom bears at once
    set_back_burst: Annotated[float, Gt(1)] = 1.4
    set_back_fraction: Annotated[float, Gt(0)] = (
        0.6  # of a constant prediction's, after three epochs
    )

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        schedule = evidence.config["schedule"]
        rises = schedule.get("warmup_epochs", 0) > 0 or "rise_fraction" in schedule
        if rises or "warmup_epochs" not in schedule or not is_transformer(evidence):
            return
        for curves in all_curves(evidence):
            is_lost = curves.burst > self.min_burst and curves.is_stuck(self.min_loss_fraction)
            if is_lost or self._is_set_back(curves):
                yield self._tell(curves)
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
            and lr > 5 * good
            and curves.burst > self.set_back_burst
            and curves.losses[0] > 0.95 * curves.level
            and min(curves.losses) > self.set_back_fraction * curves.level
        )

    def _tell(self, curves: TrainingCurves) -> Finding:
        epochs = max(1, min(5, curves.max_epochs // 10))
        return Finding(
            severity="warning",
            sentence=f"without a warm-up the loss of the transformer rose to {curves.burst:.2g} "
            f"times its start, and is {curves.losses[-1]:.3g} after {curves.num_epochs} epochs",
            evidence={
                "burst_ratio": curves.burst,
                "last_loss": curves.losses[-1],
                "constant_answer_loss": curves.level,
                "learning_rate": lr_of(curves.evidence.config),
            },
            cause="the first steps are too large for weights that are not settled yet",
            remedies=[[f"schedule.warmup_epochs={epochs}"]],
            stage=curves.stage,
            epoch=curves.num_epochs,
        )


def is_transformer(evidence: Evidence) -> bool:
    model = evidence.config["model"]
    words = f"{model.get('_target_', '')} {model.get('name', '')}".lower()
    return any(word in words for word in TRANSFORMERS)
