"""Weight decay that takes the weights away, or holds them down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from expkit.diagnosis.curves import TrainingCurves, fraction_left
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import FailedGate, first_found
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.remedies import weaker_decay
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import (
    DECOUPLED,
    lr_of,
    numbers_named,
    optimizer_name,
    optimizer_options,
)


@dataclass(frozen=True, kw_only=True)
class WeightDecayCrushes(Rule):
    """Weights shrank to a part of their size, or are held there, and the loss stands still.

    Weights that shrink while the loss falls are no fault. They are held down by a decay that takes
    as much as a step gives.
    """

    max_left_fraction: Annotated[float, Gt(0), Lt(1)] = 0.4
    stuck_fraction: Annotated[float, Gt(0)] = 0.9
    min_pull: Annotated[float, Gt(0)] = 1.0
    min_decay: Annotated[float, Gt(0)] = 0.5
    min_added_decay: Annotated[float, Gt(0)] = 0.01
    held_fraction: Annotated[float, Gt(0)] = 0.15
    min_epochs: Annotated[int, Ge(2)] = 6
    min_steps: Annotated[int, Gt(0)] = 150
    max_fall: Annotated[float, Gt(0), Lt(1)] = 0.03
    gate_stuck_fraction: Annotated[float, Gt(0), Le(1)] = 0.5
    gate_min_steps: Annotated[int, Gt(0)] = 100
    gate_max_fall: Annotated[float, Gt(0), Lt(1)] = 0.05
    gate_min_times: Annotated[float, Gt(0)] = 3.0

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        found = numbers_named(evidence.config["optimizer"], "weight_decay", "optimizer")
        decays = {key: value for key, value in found if value}
        if decays:
            yield from first_found(
                evidence,
                partial(self._judge, decays=decays),
                partial(self._judge_gate, decays=decays),
            )

    def _judge(self, curves: TrainingCurves, decays: Mapping[str, float]) -> Finding | None:
        return self._judge_shrunk(curves, decays) or self._judge_held(curves, decays)

    def _judge_shrunk(self, curves: TrainingCurves, decays: Mapping[str, float]) -> Finding | None:
        snapshots = [*curves.evidence.of_kind("model", curves.stage)[:1], *curves.probe_epochs]
        if curves.level is None or len(snapshots) < 2 or curves.num_epochs < 2:
            return None
        left = fraction_left(snapshots[0], snapshots[-1], curves.kinds)
        if left is None or left > self.max_left_fraction:
            return None
        if curves.losses[-1] < self.stuck_fraction * curves.level:
            return None
        losses = {"last_loss": curves.losses[-1], "constant_answer_loss": curves.level}
        return self._shrunk(curves.stage, curves.num_epochs, left, decays, losses)

    def _shrunk(
        self,
        stage: str,
        epoch: int,
        left: float,
        decays: Mapping[str, float],
        losses: Mapping[str, float],
    ) -> Finding:
        name, decay = next(iter(decays.items()))
        return self.finding(
            "shrunk",
            {"fraction_left": left, name: decay, **losses},
            remedies=weaker_decay(name, decay, sound=0.01),
            stage=stage,
            epoch=epoch,
            decay=decay,
        )

    def _judge_held(self, curves: TrainingCurves, decays: Mapping[str, float]) -> Finding | None:
        """Every step gives what the decay takes: the weights stay too small to learn more."""
        name, decay = max(decays.items(), key=lambda each: each[1])
        is_decoupled = optimizer_name(curves.evidence.config) in DECOUPLED
        if not self._is_strong(decay, is_decoupled=is_decoupled) or curves.level is None:
            return None
        if curves.num_epochs < self.min_epochs or curves.num_steps < self.min_steps:
            return None
        if not self._stands_still(curves):
            return None
        pull = pull_of(curves, decay, is_decoupled=is_decoupled)
        if pull is None or pull < self.min_pull:
            return None
        recent, probe = curves.recent_loss(), curves.probe_epochs[-1]["probe_loss"]
        if min(recent, probe) < self.held_fraction * curves.level:
            return None
        return self.finding(
            "held",
            {
                "decay_to_step": pull,
                name: decay,
                "fraction_left": fraction_left(
                    curves.models[0], curves.probe_epochs[-1], curves.kinds
                )
                or 1.0,
                "last_loss": recent,
                "probe_loss": probe,
                "constant_answer_loss": curves.level,
            },
            remedies=weaker_decay(name, decay, sound=0.05 if is_decoupled else 0.0005),
            stage=curves.stage,
            epoch=curves.num_epochs,
            decay=decay,
        )

    def _is_strong(self, decay: float, *, is_decoupled: bool) -> bool:
        return decay >= (self.min_decay if is_decoupled else self.min_added_decay)

    def _stands_still(self, curves: TrainingCurves) -> bool:
        """Tell whether the last third of the epochs was hardly better than the third before."""
        third = max(2, curves.num_epochs // 3)
        before, last = curves.losses[-2 * third : -third], curves.losses[-third:]
        return fmean(last) > (1 - self.max_fall) * fmean(before)

    def _judge_gate(self, gate: FailedGate, decays: Mapping[str, float]) -> Finding | None:
        """The weights that a failed gate left behind, beside those of another initialization."""
        left = gate.weights_left
        if left is None:
            return None
        is_stuck = gate.last > self.gate_stuck_fraction * gate.first
        is_gone = left <= self.max_left_fraction and is_stuck
        if not (is_gone or self._holds(gate, max(decays.values()))):
            return None
        losses = {"first_loss": gate.first, "last_loss": gate.last}
        return self._shrunk(gate.stage, gate.num_steps, left, decays, losses)

    def _holds(self, gate: FailedGate, decay: float) -> bool:
        """Tell whether the decay has balanced the gradients.

        It is out of reason, it had the time, and the loss has come to rest above zero.
        """
        config = gate.evidence.config
        is_decoupled = optimizer_name(config) in DECOUPLED
        is_strong = self._is_strong(decay, is_decoupled=is_decoupled)
        if not is_strong or gate.num_steps < self.gate_min_steps or not gate.is_calm:
            return False
        momentum = float(optimizer_options(config).get("momentum") or 0.0)
        momentum = 0.0 if is_decoupled else min(momentum, 0.99)
        times = lr_of(config) * decay * gate.num_steps / (1 - momentum)
        is_at_rest = (1 - self.gate_max_fall) * gate.halfway < gate.last < gate.first
        return times > self.gate_min_times and is_at_rest


def pull_of(curves: TrainingCurves, decay: float, *, is_decoupled: bool) -> float | None:
    """The decay's part of a step beside all else that moved a typical weight, at the last probe."""
    if not curves.probe_epochs:
        return None
    last = curves.probe_epochs[-1]
    rows, lrs = curves.weights(last), last.get("lrs") or curves.lrs[-1:]
    if is_decoupled:
        pulls = [lrs[0] * decay / row["update_ratio"] for row in rows if row.get("update_ratio")]
    else:
        pulls = [decay * e["weight_rms"] / e["gradient_rms"] for e in rows if e["gradient_rms"]]
    finite = [pull for pull in pulls if math.isfinite(pull)]
    return median(finite) if finite else None
