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
    Course,
    courses,
    is_adaptive,
    plainly,
    rate_of,
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
        for course in courses(evidence):
            late = course.losses[-max(6, course.num_epochs // 3) :]
            if course.num_epochs >= self.min_epochs and self._oscillates(course, late):
                yield self._tell(course, late)
                return

    def _oscillates(self, course: Course, late: Sequence[float]) -> bool:
        if course.level is None or not all(map(math.isfinite, course.losses)) or min(late) <= 0:
            return False
        if max(course.rates) > 1.01 * min(course.rates[-len(late) :]):  # it falls already
            return False
        mean, before = fmean(late), fmean(course.losses[-2 * len(late) : -len(late)])
        fraction = mean / course.level
        no_better = before - mean < pstdev(late)
        if fraction > 0.9 or not no_better or turns(late) < 0.5:
            return False
        if fraction > self.min_loss_fraction and swing(late) > self.min_swing:
            return has_large_steps(course) or self._swings_clearly(course, late)
        return fraction > self.min_loss_fraction / 2 and self._swings_clearly(course, late)

    def _swings_clearly(self, course: Course, late: Sequence[float]) -> bool:
        """So far that it is no chance of the batches, and the held-out loss with it."""
        held_out = column(course.records, f"{course.evidence.monitored}/loss")[-len(late) :]
        is_shared = len(held_out) == len(late) and min(held_out) > 0
        is_shared = is_shared and swing(held_out) > self.clear_swing and turns(held_out) >= 0.4
        signals = course.signals[-len(late) :]
        steps = max(course.num_steps / course.num_epochs, 1)
        chances = [float(each["step_loss"]["std"]) / math.sqrt(steps) for each in signals]
        is_chance = bool(chances) and pstdev(late) < 2 * fmean(chances)
        return is_shared and not is_chance and swing(late) > self.clear_swing

    def _tell(self, course: Course, late: Sequence[float]) -> Finding:
        rate = rate_of(course.evidence.config)
        return Finding(
            severity="warning",
            sentence=f"for {len(late)} epochs the training loss has swung by "
            f"{percent(swing(late), 0)} "
            f"around {fmean(late):.3g} at the constant learning rate {rate:g}, and gets no better",
            evidence={
                "learning_rate": rate,
                "mean_loss": fmean(late),
                "swing": swing(late),
                "turning_fraction": turns(late),
                "best_loss_before": min(course.losses[: -len(late)]),
            },
            cause="steps of this size leap over what is left to learn; a decaying learning rate "
            "settles",
            remedies=[["schedule=cosine"], [f"optimizer.lr={plainly(rate / 5)}"]],
            stage=course.stage,
            epoch=course.num_epochs,
        )


def has_large_steps(course: Course) -> bool:
    """Larger than what should do: else it is few samples or dropout that make the loss swing."""
    good = estimate(course.evidence, rate_of(course.evidence.config))
    if good is not None:
        return max(course.rates) > 3 * good
    return (course.update_ratio or 0.0) > 0.03


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
        for course in courses(evidence):
            found = self._judge_zero(course) or self._judge_gone(course)
            if found is not None:
                yield found
                return

    def _judge_zero(self, course: Course) -> Finding | None:
        if max(course.rates) > 0 or course.num_epochs <= course.warmup_epochs:
            return None
        return Finding(
            severity="fatal",
            sentence=f"the learning rate was 0 from first to last: "
            f"{counted(course.num_epochs, 'epoch')}",
            evidence={"rates": course.rates[-3:], "last_loss": course.losses[-1]},
            cause="the schedule or the optimizer sets the learning rate to 0: nothing can be "
            "learnt",
            remedies=remedies_for(course),
            stage=course.stage,
            epoch=course.num_epochs,
        )

    def _judge_gone(self, course: Course) -> Finding | None:
        peak = max(course.rates)
        gone = 1.001 * self.gone_fraction * peak  # 0.1 x 0.1 is a little more than 0.01
        useful = [i for i, rate in enumerate(course.rates) if rate > gone]
        if peak == 0 or course.level is None:
            return None
        num_useful = useful[-1] + 1
        # two epochs at the low rate: the last of a schedule, or of one step, may be low by design
        if (
            course.num_epochs < num_useful + 2
            or num_useful > self.early_fraction * course.max_epochs
        ):
            return None
        loss = course.losses[-1]
        if not loss > self.min_loss_fraction * course.level or not was_falling(course, num_useful):
            return None
        return Finding(
            severity="warning",
            sentence=f"after epoch {num_useful} of {course.max_epochs} the learning rate is at "
            "most "
            f"{percent(self.gone_fraction, 0)} of its peak, while the loss was still falling: "
            f"{loss:.3g}",
            evidence={
                "useful_epochs": num_useful,
                "max_epochs": course.max_epochs,
                "peak_rate": peak,
                "rate": course.rates[-1],
                "loss": loss,
                "constant_answer_loss": course.level,
            },
            cause="the schedule ends long before the training does",
            remedies=remedies_for(course),
            stage=course.stage,
            epoch=course.num_epochs,
        )


def was_falling(course: Course, num_epochs: int) -> bool:
    """Whether the last epochs at a high rate still bettered the loss, by a fiftieth each."""
    peak = max(course.rates)
    high = [i for i in range(num_epochs) if course.rates[i] >= 0.1 * peak]
    begin, end = max(high[-1] - 3, 0), high[-1]
    if begin == end:  # one epoch was all that it had
        return True
    return course.losses[end] < course.losses[begin] * 0.98 ** (end - begin)


def remedies_for(course: Course) -> list[list[str]]:
    """Another schedule, and where the rate falls in steps, later ones."""
    remedies = [["schedule=cosine"], ["schedule=constant"]]
    if "every_epochs" in course.evidence.config["schedule"]:
        later = max(1, course.max_epochs // 3)
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
        for course in courses(evidence):
            is_lost = course.burst > self.min_burst and course.is_stuck(self.min_loss_fraction)
            if is_lost or self._is_set_back(course):
                yield self._tell(course)
                return

    def _is_set_back(self, course: Course) -> bool:
        """The first epochs taught little, and the learning rate is far above a usual one."""
        if course.level is None or course.num_epochs < 3:
            return False
        rate, good = max(course.rates), estimate(course.evidence, rate_of(course.evidence.config))
        is_high = is_adaptive(course.evidence.config) and rate > USUAL_ADAPTIVE_RATE
        return (
            is_high
            and good is not None
            and rate > 5 * good
            and course.burst > self.set_back_burst
            and course.losses[0] > 0.95 * course.level
            and min(course.losses) > self.set_back_fraction * course.level
        )

    def _tell(self, course: Course) -> Finding:
        epochs = max(1, min(5, course.max_epochs // 10))
        return Finding(
            severity="warning",
            sentence=f"without a warm-up the loss of the transformer rose to {course.burst:.2g} "
            f"times its start, and is {course.losses[-1]:.3g} after {course.num_epochs} epochs",
            evidence={
                "burst_ratio": course.burst,
                "last_loss": course.losses[-1],
                "constant_answer_loss": course.level,
                "learning_rate": rate_of(course.evidence.config),
            },
            cause="the first steps are too large for weights that are not settled yet",
            remedies=[[f"schedule.warmup_epochs={epochs}"]],
            stage=course.stage,
            epoch=course.num_epochs,
        )


def is_transformer(evidence: Evidence) -> bool:
    model = evidence.config["model"]
    words = f"{model.get('_target_', '')} {model.get('name', '')}".lower()
    return any(word in words for word in TRANSFORMERS)
