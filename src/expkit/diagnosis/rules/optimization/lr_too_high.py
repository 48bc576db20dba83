"""A learning rate far too high, seen by what it did to the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import TrainingCurves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import FailedGate, first_found
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.remedies import estimated_lower_lr, one_digit
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import lr_of


@dataclass(frozen=True, kw_only=True)
class LearningRateTooHigh(Rule):
    """The loss bursts, and what is left of the model does not learn.

    A burst alone proves nothing: many a high rate recovers from it within the first epoch. A loss
    that leaps to NaN at once has another cause, as have losses that begin far off.
    """

    burst_ratio: Annotated[float, Gt(1)] = 3.0
    stuck_fraction: Annotated[float, Gt(0)] = 0.9
    slowed_fraction: Annotated[float, Gt(0)] = 0.4
    slowed_epochs: Annotated[int, Ge(3)] = 8
    min_steps: Annotated[int, Gt(0)] = 20
    max_start: Annotated[float, Gt(0)] = 20.0
    min_return: Annotated[float, Gt(1)] = 1.4
    min_returned: Annotated[float, Gt(0)] = 0.45
    min_relapsed: Annotated[float, Gt(0)] = 0.5
    min_sigmas: Annotated[float, Gt(0)] = 6.0
    large_update: Annotated[float, Gt(0)] = 0.01
    min_lr: Annotated[float, Gt(1)] = 3.0
    min_deadly_lr: Annotated[float, Gt(1)] = 5.0
    gate_lost: Annotated[float, Gt(0)] = 0.2
    gate_growth: Annotated[float, Gt(1)] = 1.4
    gate_max_fall: Annotated[float, Gt(0), Lt(1)] = 0.1
    gate_min_steps: Annotated[int, Gt(0)] = 100

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if not starts_far_off(evidence, self.max_start):
            yield from first_found(evidence, self._judge, self._judge_gate)

    def _judge(self, curves: TrainingCurves) -> Finding | None:
        """The first that applies; each needs the loss and something else."""
        if curves.level is None or curves.num_steps < self.min_steps:
            return self._judge_overflow(curves)
        return (
            self._judge_overflow(curves)
            or self._judge_burst(curves, curves.level)
            or self._judge_return(curves, curves.level)
            or self._judge_relapse(curves, curves.level)
            or self._judge_death(curves, curves.level)
        )

    def _judge_overflow(self, curves: TrainingCurves) -> Finding | None:
        """The loss grew beyond all numbers within the first epochs, and was sound before a step."""
        first = curves.first_loss
        if math.isfinite(curves.losses[-1]) or first is None or not math.isfinite(first):
            return None
        if curves.burst < self.burst_ratio:
            return None
        return self._too_high("overflowed", curves, first=first, highest=curves.burst * first)

    def _judge_burst(self, curves: TrainingCurves, level: float) -> Finding | None:
        """The loss rose in the first epoch, and is that of a constant prediction, or worse."""
        if curves.burst < self.burst_ratio or curves.num_epochs < 3:
            return None
        if not is_above(curves, self.min_lr):
            return None
        is_stuck = curves.is_stuck(self.stuck_fraction)
        # far above what it could be, and for long
        is_slowed = min(curves.losses) > self.slowed_fraction * level
        if not is_stuck and not (is_slowed and curves.num_epochs >= self.slowed_epochs):
            return None
        severity: Severity = "fatal" if is_stuck and curves.num_epochs >= 5 else "warning"
        return self._too_high("burst", curves, severity)

    def _judge_return(self, curves: TrainingCurves, level: float) -> Finding | None:
        """The loss rises again to where it began, while steps are large."""
        best = min(curves.losses)
        lowest_return = max(self.min_return * best, self.min_returned * level)
        if curves.num_epochs < 5 or min(curves.losses[-3:]) < lowest_return:
            return None
        if best > self.stuck_fraction * level or (curves.update_ratio or 0) < self.large_update:
            return None
        return self._too_high("returned", curves, best=best)

    def _judge_relapse(self, curves: TrainingCurves, level: float) -> Finding | None:
        """Training samples that were predicted right are forgotten again, by steps that are large.

        An epoch's noise cannot do that, and a spike that is recovered from ends below the best.
        """
        recent, right = curves.recent_loss(), curves.column("train/accuracy")
        is_large = (curves.common_update_ratio or 0) >= self.large_update
        if len(right) < 5 or not is_large or not is_above(curves, self.min_lr):
            return None
        best = max(range(len(right)), key=right.__getitem__)
        count = curves.evidence.metadata.splits["train"].num_samples
        forgotten = right[best] - min(right[best:])
        is_sure = forgotten > self.min_sigmas * math.sqrt(0.25 / max(count, 1))
        is_past = len(right) - 1 - best >= 3 and min(curves.losses[-2:]) > curves.losses[best]
        if not (is_sure and is_past):
            return None
        # where it swings slowly the last epochs may be between two heights
        since, is_up = fmean(curves.losses[best + 1 :]), recent > 1.2 * curves.losses[best]
        high = self.min_relapsed * level
        if not (recent > high or (is_up and since > high)):
            return None
        return self._too_high(
            "relapsed",
            curves,
            best_epoch=best + 1,
            best_accuracy=right[best],
            worst_accuracy=min(right[best:]),
            best_loss=curves.losses[best],
            recent_loss=recent,
        )

    def _judge_death(self, curves: TrainingCurves, level: float) -> Finding | None:
        """The first epoch went up, gradients died, and the learning rate is far above usual."""
        good = estimate(curves.evidence, lr_of(curves.evidence.config))
        if good is None or not is_above(curves, self.min_deadly_lr) or not curves.has_died:
            return None
        if not curves.losses[0] > 1.005 * level or curves.losses[-1] < 0.98 * level:
            return None
        return self._too_high("died", curves, first_epoch_loss=curves.losses[0])

    def _too_high(
        self, case: str, curves: TrainingCurves, severity: Severity | None = None, **values: Any
    ) -> Finding:
        evidence, lr = curves.evidence, lr_of(curves.evidence.config)
        better = estimated_lower_lr(evidence, lr, curves.burst)
        has_warmup = "warmup_epochs" in evidence.config["schedule"]
        return self.finding(
            case,
            {
                "learning_rate": lr,
                "burst_ratio": curves.burst,
                "last_loss": curves.losses[-1],
                "constant_answer_loss": curves.level,
                "update_ratio": curves.update_ratio,
                "bursts_at_rate": curves.sweep and curves.sweep["diverged_at"],
                "suggested_rate": better,
            },
            severity=severity,
            parts={"warmup": has_warmup and curves.max_epochs > 2},
            stage=curves.stage,
            epoch=curves.num_epochs,
            lower_lr=one_digit(better),
            **values,
        )

    def _judge_gate(self, gate: FailedGate) -> Finding | None:
        """A few samples are not learnt, and the first steps sent the loss up or the weights off."""
        if gate.num_steps < 2 or not math.isfinite(gate.first):
            return None
        is_lost = median(gate.losses[-20:]) > self.gate_lost * gate.first
        if gate.burst >= self.burst_ratio and (is_lost or not math.isfinite(gate.last)):
            return self._gate_too_high("gate_burst", gate)
        evidence, growth = gate.evidence, gate.weights_left
        lr = lr_of(evidence.config)
        good = estimate(evidence, lr)
        if good is None or growth is None or gate.num_steps < self.gate_min_steps:
            return None
        stands_still = gate.last > (1 - self.gate_max_fall) * gate.halfway
        if lr > self.min_lr * good and growth > self.gate_growth and stands_still:
            return self._gate_too_high("gate_grown", gate, growth=growth)
        return None

    def _gate_too_high(self, case: str, gate: FailedGate, **values: Any) -> Finding:
        lr = lr_of(gate.evidence.config)
        better = estimated_lower_lr(gate.evidence, lr, gate.burst)
        return self.finding(
            case,
            {
                "learning_rate": lr,
                "first_loss": gate.first,
                "burst_ratio": gate.burst,
                "last_loss": gate.last,
                "suggested_rate": better,
            },
            stage=gate.stage,
            epoch=gate.num_steps,
            lower_lr=one_digit(better),
            **values,
        )


def starts_far_off(evidence: Evidence, max_excess: float) -> bool:
    """Tell whether predictions are far too large before any step, as by a scale in forward.

    Gradients are as much too large, and the lowest rate would only hide it.
    """
    for record in evidence.of_kind("model")[:1]:
        loss, expected = record.get("loss"), record.get("expected_loss")
        if record["epoch"] == 0 and loss is not None and expected:
            return bool(expected + max_excess < loss < math.inf)
    return False


def is_above(curves: TrainingCurves, times: float) -> bool:
    """Tell whether the learning rate is above what should do, as far as that is known.

    A transformer whose inputs hide what it is to learn leaps too, at a rate that is not to blame.
    """
    good = estimate(curves.evidence, lr_of(curves.evidence.config))
    return good is None or max(curves.lrs) > times * good
