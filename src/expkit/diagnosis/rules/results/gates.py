"""The rule on gates: what could not be learnt by heart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import failed_gates
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.remedies import higher_lr, lower_lr
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class GateFailed(Rule):
    """A model that could not learn a few samples by heart: a symptom, whatever its cause."""

    still_falling: Annotated[float, Gt(0), Lt(1)] = 0.7

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for gate in failed_gates(evidence):
            is_falling = gate.last < self.still_falling * gate.halfway
            yield self.finding(
                "too_few_steps" if is_falling else "not_learnt",
                {"steps": gate.num_steps, "loss": gate.last, "loss_halfway": gate.halfway},
                stage=gate.stage,
                epoch=gate.num_steps or None,
                reason=gate.result.reason,
                max_steps=2 * max(1, gate.num_steps),
                lower_lr=lower_lr(evidence),
                higher_lr=higher_lr(evidence),
            )
            return
