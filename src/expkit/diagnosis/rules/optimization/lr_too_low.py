"""A learning rate far too low, seen by how far its steps can get."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import TrainingCurves, weighted_quantile
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import FailedGate, first_found
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.lr_estimate import expected_updates
from expkit.diagnosis.remedies import estimated_higher_lr, one_digit
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import lr_of


@dataclass(frozen=True, kw_only=True)
class LearningRateTooLow(Rule):
    """All planned steps together can hardly move the weights, and the loss shows it.

    Steps of a fraction r of a weight, n of them, move it by r n at most: what is learnt lies within
    that distance of the initial weights. A gate's path of a tenth of that needs no other proof:
    dropout would hide the steady fall.
    """

    max_path: Annotated[float, Gt(0)] = 0.1
    max_update_ratio: Annotated[float, Gt(0)] = 3e-4
    min_steps: Annotated[int, Gt(0)] = 60
    min_epochs: Annotated[int, Ge(1)] = 2
    min_loss_fraction: Annotated[float, Gt(0), Lt(1)] = 0.8
    min_end_fraction: Annotated[float, Gt(0), Lt(1)] = 0.5
    max_loss_fraction: Annotated[float, Gt(1)] = 2.0
    min_gain: Annotated[float, Gt(0)] = 0.05

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if not is_drawn_too_small(evidence, self.min_gain):
            yield from first_found(evidence, self._judge, self._judge_gate)

    def _judge(self, curves: TrainingCurves) -> Finding | None:
        ratio, level = curves.common_update_ratio, curves.level
        if not ratio or level is None or curves.num_steps < self.min_steps:
            return None
        if curves.num_epochs < max(self.min_epochs, curves.warmup_epochs + 1):
            return None
        path = ratio * curves.planned_steps
        if ratio > self.max_update_ratio or path > self.max_path:
            return None
        last, end = curves.losses[-1], expected_end(curves.losses, curves.max_epochs)
        if not math.isfinite(last):
            return None
        if last < self.min_loss_fraction * level or end < self.min_end_fraction * level:
            return None
        if last > self.max_loss_fraction * level:
            return None
        lr = lr_of(curves.evidence.config)
        better = estimated_higher_lr(curves.evidence, lr, ratio)
        return self.finding(
            "training",
            {
                "learning_rate": lr,
                "update_ratio": ratio,
                "planned_steps": curves.planned_steps,
                "last_loss": last,
                "expected_end_loss": end,
                "constant_answer_loss": level,
                "suggested_rate": better,
            },
            stage=curves.stage,
            epoch=curves.num_epochs,
            path=path,
            higher_lr=one_digit(better),
        )

    def _judge_gate(self, gate: FailedGate) -> Finding | None:
        """A few samples, and the loss falls at every step, only hardly."""
        if gate.num_steps < self.min_steps or not gate.is_finite:
            return None
        evidence, lr = gate.evidence, lr_of(gate.evidence.config)
        record = next(iter(evidence.of_kind("model")), None)
        updates = [] if record is None else expected_updates(evidence.config, record)
        ratio = weighted_quantile(updates)
        if ratio is None or ratio * gate.num_steps > self.max_path:
            return None
        if ratio * gate.num_steps > self.max_path / 10 and not falls_steadily(gate):
            return None
        if min(gate.losses[-20:]) < self.min_end_fraction * gate.first:
            return None
        better = estimated_higher_lr(evidence, lr, ratio)
        return self.finding(
            "gate",
            {
                "learning_rate": lr,
                "first_loss": gate.first,
                "last_loss": gate.last,
                "num_steps": gate.num_steps,
                "update_ratio": ratio,
                "suggested_rate": better,
            },
            stage=gate.stage,
            epoch=gate.num_steps,
            higher_lr=one_digit(better),
        )


def is_drawn_too_small(evidence: Evidence, min_gain: float) -> bool:
    """Tell whether typical weights let next to nothing through before any step: no rate mends that.

    A layer's inputs are not recorded: the root of its size is taken for theirs.
    """
    for record in evidence.of_kind("model")[:1]:
        rows = [row for row in record["parameters"] if row["kind"] == "weight"]
        gains = [row["weight_rms"] * row["size"] ** 0.25 for row in rows if row["size"] > 1]
        return record["epoch"] == 0 and bool(gains) and median(gains) < min_gain
    return False


def falls_steadily(gate: FailedGate) -> bool:
    """Tell whether the second half falls nearly as much as the first, and both do not fall far.

    A model that has found the constant prediction falls no further; one that learns falls faster.
    """
    first, second = gate.first - gate.halfway, gate.halfway - gate.last
    return first > 0 and 0.5 * first < second < 4 * first and gate.last > 0.5 * gate.first


def expected_end(losses: list[float], max_epochs: int) -> float:
    """The loss after the last epoch if it goes on falling as in the later half so far."""
    middle = (len(losses) - 1) // 2
    slope = (losses[-1] - losses[middle]) / max(len(losses) - 1 - middle, 1)
    return losses[-1] + min(slope, 0.0) * (max_epochs - len(losses))
