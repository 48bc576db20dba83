"""A learning rate far too high or far too low, told from what it did to the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.course import (
    Course,
    courses,
    is_adaptive,
    plainly,
    rate_of,
)
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record

GOOD_UPDATE = 0.01  # of a typical weight in a first step: most of what trained fast had less


@dataclass(frozen=True, kw_only=True)
class LearningRateTooHigh(Rule):
    """The loss bursts, and what is left of the model does not learn.

    A burst alone proves nothing: many a high rate recovers from it within the first epoch.
    """

    burst_ratio: Annotated[float, Gt(1)] = 2.0  # of the loss to the one before any step
    stuck_share: Annotated[float, Gt(0)] = 0.9  # of the level of a constant answer
    min_steps: Annotated[int, Gt(0)] = 20

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for course in courses(evidence):
            if (found := self._judge(course)) is not None:
                yield found
                return
        for gate in evidence.gates:
            if (found := self._judge_gate(evidence, gate)) is not None:
                yield found
                return

    def _judge(self, course: Course) -> Finding | None:
        """The first that applies; each needs the loss and something else."""
        if course.level is None or course.num_steps < self.min_steps:
            return self._judge_overflow(course)
        tests = (self._judge_overflow, self._judge_burst, self._judge_return, self._judge_death)
        return next((found for test in tests if (found := test(course)) is not None), None)

    def _judge_overflow(self, course: Course) -> Finding | None:
        """The loss grew beyond all numbers within the first epochs, and was sound before a step."""
        first = course.first_loss
        if math.isfinite(course.losses[-1]) or first is None or not math.isfinite(first):
            return None
        # a loss that leaps to NaN from where it was has another cause: its rate shows in a rise
        if course.burst < self.burst_ratio:
            return None
        sentence = f"the loss rose from {first:.3g} to {course.burst * first:.3g} and overflowed"
        return too_high(course, "fatal", sentence)

    def _judge_burst(self, course: Course) -> Finding | None:
        """The loss leapt in the first epoch, and lies where a constant answer does, or worse."""
        level, recent = course.level, course.losses[-1]
        assert level is not None
        if course.burst < self.burst_ratio or course.num_epochs < 3:
            return None
        is_stuck = recent > self.stuck_share * level
        # far above what it could be, and for long
        is_slowed = course.burst > 1.5 * self.burst_ratio and min(course.losses) > 0.4 * level
        if not is_stuck and not (is_slowed and course.num_epochs >= 8):
            return None
        severity: Severity = "fatal" if is_stuck and course.num_epochs >= 4 else "warning"
        return too_high(
            course,
            severity,
            f"the loss leapt to {course.burst:.3g} times its start within the first epoch and is "
            f"{recent:.3g} after {course.num_epochs} epochs; a constant answer costs {level:.3g}",
        )

    def _judge_return(self, course: Course) -> Finding | None:
        """What was learnt is being lost, while steps are large."""
        level, best = course.level, min(course.losses)
        assert level is not None
        if course.num_epochs < 5 or min(course.losses[-3:]) < max(1.4 * best, 0.45 * level):
            return None
        if best > 0.9 * level or (course.update_ratio or 0) < 0.01:
            return None
        return too_high(
            course,
            "warning",
            f"the training loss fell to {best:.3g} and rose again to {course.losses[-1]:.3g}; "
            f"a constant answer costs {level:.3g}",
        )

    def _judge_death(self, course: Course) -> Finding | None:
        """The first epoch went up, gradients died, and the rate is far above what should do."""
        level, good = course.level, estimate(course.evidence, rate_of(course.evidence.config))
        assert level is not None
        if good is None or max(course.rates) < 5 * good or not course.has_died:
            return None
        went_up = course.losses[0] > 1.005 * level
        if not went_up or course.losses[-1] < 0.98 * level:
            return None
        return too_high(
            course,
            "warning",
            f"the first epoch drove the loss up to {course.losses[0]:.4g} (a constant answer "
            f"costs {level:.4g}), and no gradient reaches the weights any more",
        )

    def _judge_gate(self, evidence: Evidence, gate: str) -> Finding | None:
        """A few samples are not learnt: the first steps sent the loss up, and it stayed up."""
        result = evidence.result(gate)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        if result is None or result.passed or len(losses) < 2 or not math.isfinite(losses[0]):
            return None
        burst = max(loss for loss in losses[:20] if not math.isnan(loss)) / max(losses[0], 1e-12)
        is_lost = not math.isfinite(losses[-1]) or median(losses[-20:]) > 0.2 * losses[0]
        if burst < self.burst_ratio or not is_lost:
            return None
        rate = rate_of(evidence.config)
        better = lower_rate(evidence, rate, burst)
        return Finding(
            severity="fatal",
            sentence=f"the loss of the gate leapt to {burst:.3g} times its start within 20 steps "
            f"at learning rate {rate:g}",
            evidence={
                "learning_rate": rate,
                "first_loss": losses[0],
                "burst_ratio": burst,
                "last_loss": losses[-1],
                "suggested_rate": better,
            },
            cause=f"the learning rate is too high; about {plainly(better)} would do",
            remedies=[[f"optimizer.lr={plainly(better)}"]],
            stage=gate,
            epoch=len(losses),
        )


def too_high(course: Course, severity: Severity, sentence: str) -> Finding:
    evidence, rate = course.evidence, rate_of(course.evidence.config)
    better = lower_rate(evidence, rate, course.burst)
    remedies = [[f"optimizer.lr={plainly(better)}"]]
    if "warmup_epochs" in evidence.config["schedule"] and course.max_epochs > 2:
        remedies.append([f"optimizer.lr={plainly(better)}", "schedule.warmup_epochs=1"])
    return Finding(
        severity=severity,
        sentence=f"{sentence} (learning rate {rate:g})",
        evidence={
            "learning_rate": rate,
            "burst_ratio": course.burst,
            "last_loss": course.losses[-1],
            "constant_answer_loss": course.level,
            "update_ratio": course.update_ratio,
            "bursts_at_rate": course.sweep and course.sweep["diverged_at"],
            "suggested_rate": better,
        },
        cause=f"the learning rate is too high; about {plainly(better)} would do",
        remedies=remedies,
        stage=course.stage,
        epoch=course.num_epochs,
    )


def lower_rate(evidence: Evidence, rate: float, burst: float) -> float:
    """As estimated, else by the size of the burst."""
    good = estimate(evidence, rate)
    return good if good is not None and good < rate / 2 else rate / (100 if burst > 100 else 10)


def estimate(evidence: Evidence, rate: float) -> float | None:
    """A rate that should do, from the range test and from the size of the first step.

    Where they differ, the truth lay near the lower one for steps that do not grow with the
    gradient, and between them for those that do: gradients grow once training is under way.
    """
    sweeps = [sweep["suggested"] for sweep in evidence.of_kind("rates")[:1]]
    ratios = [expected_update(evidence.config, each) for each in evidence.of_kind("model")[:1]]
    estimates = [*sweeps, *(rate * GOOD_UPDATE / ratio for ratio in ratios if ratio)]
    found = [float(each) for each in estimates if each is not None]
    if not found:
        return None
    return min(found) if is_adaptive(evidence.config) else geometric_mean(found)


def is_positive(*numbers: float | None) -> bool:
    return all(number is not None and 0 < number < math.inf for number in numbers)


def expected_update(
    config: Mapping[str, Any], record: Record, pick: Callable[[list[float]], float] = median
) -> float | None:
    """What share of a weight one step will change, by the optimizer's formula.

    Of a typical weight, or of the one that `pick` names.
    """
    rate = rate_of(config)
    rows = [row for row in record["parameters"] if row["kind"] == "weight" and row["optimised"]]
    rows = [row for row in rows if is_positive(row["weight_rms"], row["gradient_rms"])]
    if not rows:
        return None
    if is_adaptive(config):
        return rate * pick([1 / row["weight_rms"] for row in rows])
    momentum = min(float(config["optimizer"].get("momentum", 0.0)), 0.999)
    ratios = [row["gradient_rms"] / row["weight_rms"] for row in rows]
    return rate * pick(ratios) / (1 - momentum)


@dataclass(frozen=True, kw_only=True)
class LearningRateTooLow(Rule):
    """All planned steps together can hardly move the weights, and the loss shows it.

    Steps of a share r of a weight, n of them, move it by r n at most: what is learnt lies within
    that distance of the initial weights.
    """

    max_path: Annotated[float, Gt(0)] = 0.1  # of a weight, over all planned steps
    max_update_ratio: Annotated[float, Gt(0)] = 3e-4
    min_steps: Annotated[int, Gt(0)] = 60

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for course in courses(evidence):
            if (found := self._judge(course)) is not None:
                yield found
                return
        for gate in evidence.gates:
            if (found := self._judge_gate(evidence, gate)) is not None:
                yield found
                return

    def _judge(self, course: Course) -> Finding | None:
        ratio, level = course.update_ratio, course.level
        if not ratio or level is None or course.num_steps < self.min_steps:
            return None
        if course.num_epochs < max(2, course.warmup_epochs + 1):
            return None
        path = ratio * course.planned_steps
        if ratio > self.max_update_ratio or path > self.max_path:
            return None
        end = expected_end(course.losses, course.max_epochs)
        if course.losses[-1] < 0.8 * level or end < 0.5 * level or course.losses[-1] > 2 * level:
            return None
        rate = rate_of(course.evidence.config)
        better = higher_rate(course.evidence, rate, ratio)
        return Finding(
            severity="warning",
            sentence=f"a step changes no weight by more than {ratio:.1e} of itself: all "
            f"{course.planned_steps} steps together come to {path:.1%}, and the loss will not "
            f"be below {end:.3g}",
            evidence={
                "learning_rate": rate,
                "update_ratio": ratio,
                "planned_steps": course.planned_steps,
                "last_loss": course.losses[-1],
                "expected_end_loss": end,
                "constant_answer_loss": level,
                "suggested_rate": better,
            },
            cause=f"the learning rate {rate:g} is too low; about {plainly(better)} would do",
            remedies=[[f"optimizer.lr={plainly(better)}"]],
            stage=course.stage,
            epoch=course.num_epochs,
        )

    def _judge_gate(self, evidence: Evidence, gate: str) -> Finding | None:
        """A few samples, and the loss falls at every step, only hardly."""
        result = evidence.result(gate)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        if result is None or result.passed or len(losses) < self.min_steps:
            return None
        if not all(map(math.isfinite, losses)):
            return None
        record = next(iter(evidence.of_kind("model")), None)
        ratio = None if record is None else expected_update(evidence.config, record, max)
        rate = rate_of(evidence.config)
        if ratio is None or ratio * len(losses) > self.max_path:
            return None
        # so short a path needs no other proof; dropout would hide the fall
        if ratio * len(losses) > self.max_path / 10 and not falls_steadily(losses):
            return None
        if min(losses[-20:]) < 0.5 * losses[0]:
            return None
        better = higher_rate(evidence, rate, ratio)
        return Finding(
            severity="fatal",
            sentence=f"the loss of the gate went from {losses[0]:.4g} to only {losses[-1]:.4g} in "
            f"{len(losses)} steps: a step changes no weight by more than {ratio:.1e} of itself",
            evidence={
                "learning_rate": rate,
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "num_steps": len(losses),
                "update_ratio": ratio,
                "suggested_rate": better,
            },
            cause=f"the learning rate {rate:g} is too low; about {plainly(better)} would do",
            remedies=[[f"optimizer.lr={plainly(better)}"]],
            stage=gate,
            epoch=len(losses),
        )


def falls_steadily(losses: list[float]) -> bool:
    """Whether the second half falls nearly as much as the first, and both do not fall far.

    A model that has found the constant answer falls no further; one that learns falls faster.
    """
    middle = len(losses) // 2
    first, second = losses[0] - losses[middle], losses[middle] - losses[-1]
    return first > 0 and 0.5 * first < second < 4 * first and losses[-1] > 0.5 * losses[0]


def expected_end(losses: list[float], max_epochs: int) -> float:
    """The loss after the last epoch if it goes on falling as in the later half so far."""
    middle = (len(losses) - 1) // 2
    slope = (losses[-1] - losses[middle]) / max(len(losses) - 1 - middle, 1)
    return losses[-1] + min(slope, 0.0) * (max_epochs - len(losses))


def higher_rate(evidence: Evidence, rate: float, ratio: float) -> float:
    """As estimated, else such that a step changes a good share of a weight."""
    good = estimate(evidence, rate)
    return good if good is not None and good > 2 * rate else max(2, GOOD_UPDATE / ratio / 3) * rate
