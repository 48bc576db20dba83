"""A learning rate far too high, told from what it did to the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated

from annotated_types import Gt

from expkit.diagnosis.curves import Course, first_found, plainly, rate_of
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.lr_estimate import estimate, lower_rate
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.optimization.weight_decay import fraction_left
from expkit.metrics.percentages import percent


@dataclass(frozen=True, kw_only=True)
class LearningRateTooHigh(Rule):
    """The loss bursts, and what is left of the model does not learn.

    A burst alone proves nothing: many a high rate recovers from it within the first epoch.
    """

    burst_ratio: Annotated[float, Gt(1)] = 3.0  # of the loss to the one before any step
    stuck_fraction: Annotated[float, Gt(0)] = 0.9  # of the level of a constant prediction
    min_steps: Annotated[int, Gt(0)] = 20
    max_start: Annotated[float, Gt(0)] = 20.0  # nats above saying nothing, before any step

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if starts_far_off(evidence, self.max_start):
            return
        yield from first_found(evidence, self._judge, self._judge_gate)

    def _judge(self, course: Course) -> Finding | None:
        """The first that applies; each needs the loss and something else."""
        if course.level is None or course.num_steps < self.min_steps:
            return self._judge_overflow(course)
        tests = (
            self._judge_overflow,
            self._judge_burst,
            self._judge_return,
            self._judge_relapse,
            self._judge_death,
        )
        return next((found for test in tests if (found := test(course)) is not None), None)

    def _judge_overflow(self, course: Course) -> Finding | None:
        """The loss grew beyond all numbers within the first epochs, and was sound before a step."""
        first = course.first_loss
        if math.isfinite(course.losses[-1]) or first is None or not math.isfinite(first):
            return None
        # a loss that leaps to NaN at once has another cause: a high learning rate shows in a rise
        if course.burst < self.burst_ratio:
            return None
        sentence = f"the loss rose from {first:.3g} to {course.burst * first:.3g} and overflowed"
        return too_high(course, "fatal", sentence)

    def _judge_burst(self, course: Course) -> Finding | None:
        """The loss rose in the first epoch, and is that of a constant prediction, or worse."""
        level, recent = course.level, course.losses[-1]
        assert level is not None
        if course.burst < self.burst_ratio or course.num_epochs < 3 or not is_above(course, 3):
            return None
        is_stuck = course.is_stuck(self.stuck_fraction)
        # far above what it could be, and for long
        is_slowed = min(course.losses) > 0.4 * level
        if not is_stuck and not (is_slowed and course.num_epochs >= 8):
            return None
        severity: Severity = "fatal" if is_stuck and course.num_epochs >= 5 else "warning"
        return too_high(
            course,
            severity,
            f"the loss leapt to {course.burst:.3g} times its start within the first epoch and is "
            f"{recent:.3g} after {course.num_epochs} epochs; "
            f"a constant prediction costs {level:.3g}",
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
            f"a constant prediction costs {level:.3g}",
        )

    def _judge_relapse(self, course: Course) -> Finding | None:
        """Training samples that were predicted right are forgotten again, by steps that are large.

        An epoch's noise cannot do that, and a spike that is recovered from ends below the best.
        """
        level, recent = course.level, course.recent_loss()
        right = column(course.records, "train/accuracy")
        assert level is not None
        if len(right) < 5 or (course.common_update_ratio or 0) < 0.01 or not is_above(course, 3):
            return None
        best = max(range(len(right)), key=right.__getitem__)
        count = course.evidence.metadata.splits["train"].num_samples
        lost = min(right[best:]) - right[best]
        is_sure = -lost > 6 * math.sqrt(0.25 / max(count, 1))
        is_past = len(right) - 1 - best >= 3 and min(course.losses[-2:]) > course.losses[best]
        if not (is_sure and is_past):
            return None
        # where it swings slowly the last epochs may be between two heights
        since, is_up = fmean(course.losses[best + 1 :]), recent > 1.2 * course.losses[best]
        if not (recent > 0.5 * level or (is_up and since > 0.5 * level)):
            return None
        return too_high(
            course,
            "warning",
            f"of the training samples {percent(right[best], 0)} were right in epoch {best + 1}, "
            f"then {percent(min(right[best:]), 0)}, and the loss rose from "
            f"{course.losses[best]:.3g} to "
            f"{recent:.3g}",
        )

    def _judge_death(self, course: Course) -> Finding | None:
        """The first epoch went up, gradients died, and the learning rate is far above usual."""
        level, good = course.level, estimate(course.evidence, rate_of(course.evidence.config))
        assert level is not None
        if good is None or not is_above(course, 5) or not course.has_died:
            return None
        went_up = course.losses[0] > 1.005 * level
        if not went_up or course.losses[-1] < 0.98 * level:
            return None
        return too_high(
            course,
            "warning",
            f"the first epoch drove the loss up to {course.losses[0]:.4g} (a constant prediction "
            f"costs {level:.4g}), and no gradient reaches the weights any more",
        )

    def _judge_gate(self, evidence: Evidence, gate: str) -> Finding | None:
        """A few samples are not learnt, and the first steps sent the loss up or the weights off."""
        result = evidence.result(gate)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        if result is None or result.passed or len(losses) < 2 or not math.isfinite(losses[0]):
            return None
        rate = rate_of(evidence.config)
        burst = max(loss for loss in losses[:20] if not math.isnan(loss)) / max(losses[0], 1e-12)
        is_lost = not math.isfinite(losses[-1]) or median(losses[-20:]) > 0.2 * losses[0]
        if burst >= self.burst_ratio and is_lost:
            said = f"the loss of the gate leapt to {burst:.3g} times its start within 20 steps"
            return gate_too_high(evidence, gate, losses, said, burst)
        good, growth = estimate(evidence, rate), growth_of_weights(evidence, gate)
        stands = losses[-1] > 0.9 * losses[len(losses) // 2]  # at last it does not move any more
        if good is None or growth is None or len(losses) < 100:
            return None
        if rate > 3 * good and growth > 1.4 and stands:
            said = f"the gate drove its weights to {growth:.2g} times their size, and its loss "
            said += f"has stood at {losses[-1]:.3g} since"
            return gate_too_high(evidence, gate, losses, said, burst)
        return None


def starts_far_off(evidence: Evidence, max_excess: float) -> bool:
    """Whether predictions are far too large before any step, as of a scale in the model's forward.

    Gradients are as much too large, and the lowest rate would only hide it.
    """
    for record in evidence.of_kind("model")[:1]:
        loss, expected = record.get("loss"), record.get("expected_loss")
        if record["epoch"] == 0 and loss is not None and expected:
            return bool(expected + max_excess < loss < math.inf)
    return False


def growth_of_weights(evidence: Evidence, gate: str) -> float | None:
    """Of a typical weight in a failed gate, beside those before training."""
    records = evidence.of_kind("model")
    after = [each for each in records if each["stage"] == gate and each["epoch"] > 0]
    if not after or records[0] is after[0]:
        return None
    kinds = {row["name"]: row["kind"] for row in after[-1]["parameters"]}
    return fraction_left(records[0], after[-1], kinds)


def gate_too_high(
    evidence: Evidence, gate: str, losses: list[float], said: str, burst: float
) -> Finding:
    rate = rate_of(evidence.config)
    better = lower_rate(evidence, rate, burst)
    return Finding(
        severity="fatal",
        sentence=f"{said} (learning rate {rate:g})",
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


def is_above(course: Course, times: float) -> bool:
    """Whether the learning rate is above what should do, as far as that is known.

    A transformer whose inputs hide what it is to learn leaps too, at a rate that is not to blame.
    """
    good = estimate(course.evidence, rate_of(course.evidence.config))
    return good is None or max(course.rates) > times * good


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
