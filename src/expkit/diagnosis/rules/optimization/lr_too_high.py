"""A learning rate far too high, told from what it did to the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean, median
from typing import Annotated

from annotated_types import Gt

from expkit.diagnosis.curves import TrainingCurves, first_found, lr_of, plainly
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column
from expkit.diagnosis.finding import Finding, Severity
from expkit.diagnosis.lr_estimate import estimate, lower_lr
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

    def _judge(self, curves: TrainingCurves) -> Finding | None:
        """The first that applies; each needs the loss and something else."""
        if curves.level is None or curves.num_steps < self.min_steps:
            return self._judge_overflow(curves)
        tests = (
            self._judge_overflow,
            self._judge_burst,
            self._judge_return,
            self._judge_relapse,
            self._judge_death,
        )
        return next((found for test in tests if (found := test(curves)) is not None), None)

    def _judge_overflow(self, curves: TrainingCurves) -> Finding | None:
        """The loss grew beyond all numbers within the first epochs, and was sound before a step."""
        first = curves.first_loss
        if math.isfinite(curves.losses[-1]) or first is None or not math.isfinite(first):
            return None
        # a loss that leaps to NaN at once has another cause: a high learning rate shows in a rise
        if curves.burst < self.burst_ratio:
            return None
        sentence = f"the loss rose from {first:.3g} to {curves.burst * first:.3g} and overflowed"
        return too_high(curves, "fatal", sentence)

    def _judge_burst(self, curves: TrainingCurves) -> Finding | None:
        """The loss rose in the first epoch, and is that of a constant prediction, or worse."""
        level, recent = curves.level, curves.losses[-1]
        assert level is not None
        if curves.burst < self.burst_ratio or curves.num_epochs < 3 or not is_above(curves, 3):
            return None
        is_stuck = curves.is_stuck(self.stuck_fraction)
        # far above what it could be, and for long
        is_slowed = min(curves.losses) > 0.4 * level
        if not is_stuck and not (is_slowed and curves.num_epochs >= 8):
            return None
        severity: Severity = "fatal" if is_stuck and curves.num_epochs >= 5 else "warning"
        return too_high(
            curves,
            severity,
            f"the loss leapt to {curves.burst:.3g} times its start within the first epoch and is "
            f"{recent:.3g} after {curves.num_epochs} epochs; "
            f"a constant prediction costs {level:.3g}",
        )

    def _judge_return(self, curves: TrainingCurves) -> Finding | None:
        """Return what was learnt is being lost, while steps are large."""
        level, best = curves.level, min(curves.losses)
        assert level is not None
        if curves.num_epochs < 5 or min(curves.losses[-3:]) < max(1.4 * best, 0.45 * level):
            return None
        if best > 0.9 * level or (curves.update_ratio or 0) < 0.01:
            return None
        return too_high(
            curves,
            "warning",
            f"the training loss fell to {best:.3g} and rose again to {curves.losses[-1]:.3g}; "
            f"a constant prediction costs {level:.3g}",
        )

    def _judge_relapse(self, curves: TrainingCurves) -> Finding | None:
        """Training samples that were predicted right are forgotten again, by steps that are large.

        An epoch's noise cannot do that, and a spike that is recovered from ends below the best.
        """
        level, recent = curves.level, curves.recent_loss()
        right = column(curves.records, "train/accuracy")
        assert level is not None
        if len(right) < 5 or (curves.common_update_ratio or 0) < 0.01 or not is_above(curves, 3):
            return None
        best = max(range(len(right)), key=right.__getitem__)
        count = curves.evidence.metadata.splits["train"].num_samples
        lost = min(right[best:]) - right[best]
        is_sure = -lost > 6 * math.sqrt(0.25 / max(count, 1))
        is_past = len(right) - 1 - best >= 3 and min(curves.losses[-2:]) > curves.losses[best]
        if not (is_sure and is_past):
            return None
        # where it swings slowly the last epochs may be between two heights
        since, is_up = fmean(curves.losses[best + 1 :]), recent > 1.2 * curves.losses[best]
        if not (recent > 0.5 * level or (is_up and since > 0.5 * level)):
            return None
        return too_high(
            curves,
            "warning",
            f"of the training samples {percent(right[best], 0)} were right in epoch {best + 1}, "
            f"then {percent(min(right[best:]), 0)}, and the loss rose from "
            f"{curves.losses[best]:.3g} to "
            f"{recent:.3g}",
        )

    def _judge_death(self, curves: TrainingCurves) -> Finding | None:
        """The first epoch went up, gradients died, and the learning rate is far above usual."""
        level, good = curves.level, estimate(curves.evidence, lr_of(curves.evidence.config))
        assert level is not None
        if good is None or not is_above(curves, 5) or not curves.has_died:
            return None
        went_up = curves.losses[0] > 1.005 * level
        if not went_up or curves.losses[-1] < 0.98 * level:
            return None
        return too_high(
            curves,
            "warning",
            f"the first epoch drove the loss up to {curves.losses[0]:.4g} (a constant prediction "
            f"costs {level:.4g}), and no gradient reaches the weights any more",
        )

    def _judge_gate(self, evidence: Evidence, gate: str) -> Finding | None:
        """A few samples are not learnt, and the first steps sent the loss up or the weights off."""
        result = evidence.result(gate)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        if result is None or result.passed or len(losses) < 2 or not math.isfinite(losses[0]):
            return None
        lr = lr_of(evidence.config)
        burst = max(loss for loss in losses[:20] if not math.isnan(loss)) / max(losses[0], 1e-12)
        is_lost = not math.isfinite(losses[-1]) or median(losses[-20:]) > 0.2 * losses[0]
        if burst >= self.burst_ratio and is_lost:
            said = f"the loss of the gate leapt to {burst:.3g} times its start within 20 steps"
            return gate_too_high(evidence, gate, losses, said, burst)
        good, growth = estimate(evidence, lr), growth_of_weights(evidence, gate)
        stands = losses[-1] > 0.9 * losses[len(losses) // 2]  # at last it does not move any more
        if good is None or growth is None or len(losses) < 100:
            return None
        if lr > 3 * good and growth > 1.4 and stands:
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
    lr = lr_of(evidence.config)
    better = lower_lr(evidence, lr, burst)
    return Finding(
        severity="fatal",
        sentence=f"{said} (learning rate {lr:g})",
        evidence={
            "learning_rate": lr,
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


def is_above(curves: TrainingCurves, times: float) -> bool:
    """Tell whether the learning rate is above what should do, as far as that is known.

    A transformer whose inputs hide what it is to learn leaps too, at a rate that is not to blame.
    """
    good = estimate(curves.evidence, lr_of(curves.evidence.config))
    return good is None or max(curves.lrs) > times * good


def too_high(curves: TrainingCurves, severity: Severity, sentence: str) -> Finding:
    evidence, lr = curves.evidence, lr_of(curves.evidence.config)
    better = lower_lr(evidence, lr, curves.burst)
    remedies = [[f"optimizer.lr={plainly(better)}"]]
    if "warmup_epochs" in evidence.config["schedule"] and curves.max_epochs > 2:
        remedies.append([f"optimizer.lr={plainly(better)}", "schedule.warmup_epochs=1"])
    return Finding(
        severity=severity,
        sentence=f"{sentence} (learning rate {lr:g})",
        evidence={
            "learning_rate": lr,
            "burst_ratio": curves.burst,
            "last_loss": curves.losses[-1],
            "constant_answer_loss": curves.level,
            "update_ratio": curves.update_ratio,
            "bursts_at_rate": curves.sweep and curves.sweep["diverged_at"],
            "suggested_rate": better,
        },
        cause=f"the learning rate is too high; about {plainly(better)} would do",
        remedies=remedies,
        stage=curves.stage,
        epoch=curves.num_epochs,
    )
