"""A learning rate far too low, told from how far its steps can get."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Annotated

from annotated_types import Gt

from expkit.diagnosis.curves import TrainingCurves, first_found, lr_of, plainly, share_point
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.lr_estimate import expected_updates, higher_lr
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent


@dataclass(frozen=True, kw_only=True)
class LearningRateTooLow(Rule):
    """All planned steps together can hardly move the weights, and the loss shows it.

    Steps of a share r of a weight, n of them, move it by r n at most: what is learnt lies within
    that distance of the initial weights.
    """

    max_path: Annotated[float, Gt(0)] = 0.1  # of a weight, over all planned steps
    max_update_ratio: Annotated[float, Gt(0)] = 3e-4
    min_steps: Annotated[int, Gt(0)] = 60
    # of a layer, what its weights do to the size of what comes in: torch draws 0.6, a
    # transformer's 0.02 of a hundred inputs 0.2
    min_gain: Annotated[float, Gt(0)] = 0.05

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if is_drawn_too_small(evidence, self.min_gain):
            return
        yield from first_found(evidence, self._judge, self._judge_gate)

    def _judge(self, curves: TrainingCurves) -> Finding | None:
        ratio, level = curves.common_update_ratio, curves.level
        if not ratio or level is None or curves.num_steps < self.min_steps:
            return None
        if curves.num_epochs < max(2, curves.warmup_epochs + 1):
            return None
        path = ratio * curves.planned_steps
        if ratio > self.max_update_ratio or path > self.max_path:
            return None
        if not math.isfinite(curves.losses[-1]):
            return None
        end = expected_end(curves.losses, curves.max_epochs)
        if curves.losses[-1] < 0.8 * level or end < 0.5 * level or curves.losses[-1] > 2 * level:
            return None
        lr = lr_of(curves.evidence.config)
        better = higher_lr(curves.evidence, lr, ratio)
        return Finding(
            severity="warning",
            sentence=f"a step changes hardly any weight by more than {ratio:.1e} of itself: all "
            f"{curves.planned_steps} steps together come to {percent(path, 1)}, and the loss "
            f"will not be below {end:.3g}",
            evidence={
                "learning_rate": lr,
                "update_ratio": ratio,
                "planned_steps": curves.planned_steps,
                "last_loss": curves.losses[-1],
                "expected_end_loss": end,
                "constant_answer_loss": level,
                "suggested_rate": better,
            },
            cause=f"the learning rate {lr:g} is too low; about {plainly(better)} would do",
            remedies=[[f"optimizer.lr={plainly(better)}"]],
            stage=curves.stage,
            epoch=curves.num_epochs,
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
        updates = [] if record is None else expected_updates(evidence.config, record)
        ratio = share_point(updates)
        lr = lr_of(evidence.config)
        if ratio is None or ratio * len(losses) > self.max_path:
            return None
        # so short a path needs no other proof; dropout would hide the fall
        if ratio * len(losses) > self.max_path / 10 and not falls_steadily(losses):
            return None
        if min(losses[-20:]) < 0.5 * losses[0]:
            return None
        better = higher_lr(evidence, lr, ratio)
        return Finding(
            severity="fatal",
            sentence=f"the loss of the gate went from {losses[0]:.4g} to only {losses[-1]:.4g} in "
            f"{len(losses)} steps: a step changes hardly any weight by more than {ratio:.1e} of "
            "itself",
            evidence={
                "learning_rate": lr,
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "num_steps": len(losses),
                "update_ratio": ratio,
                "suggested_rate": better,
            },
            cause=f"the learning rate {lr:g} is too low; about {plainly(better)} would do",
            remedies=[[f"optimizer.lr={plainly(better)}"]],
            stage=gate,
            epoch=len(losses),
        )


def is_drawn_too_small(evidence: Evidence, min_gain: float) -> bool:
    """Tell whether typical weights let next to nothing through before any step: no rate mends that.

    A layer's inputs are not recorded: the root of its size stands for them.
    """
    for record in evidence.of_kind("model")[:1]:
        rows = [row for row in record["parameters"] if row["kind"] == "weight"]
        gains = [row["weight_rms"] * row["size"] ** 0.25 for row in rows if row["size"] > 1]
        return record["epoch"] == 0 and bool(gains) and median(gains) < min_gain
    return False


def falls_steadily(losses: list[float]) -> bool:
    """Tell whether the second half falls nearly as much as the first, and both do not fall far.

    A model that has found the constant prediction falls no further; one that learns falls faster.
    """
    middle = len(losses) // 2
    first, second = losses[0] - losses[middle], losses[middle] - losses[-1]
    return first > 0 and 0.5 * first < second < 4 * first and losses[-1] > 0.5 * losses[0]


def expected_end(losses: list[float], max_epochs: int) -> float:
    """The loss after the last epoch if it goes on falling as in the later half so far."""
    middle = (len(losses) - 1) // 2
    slope = (losses[-1] - losses[middle]) / max(len(losses) - 1 - middle, 1)
    return losses[-1] + min(slope, 0.0) * (max_epochs - len(losses))
