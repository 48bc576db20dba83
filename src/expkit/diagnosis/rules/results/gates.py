"""The rule on gates: what could not be learnt by heart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class GateFailed(Rule):
    """A model that could not learn a few samples by heart: a symptom, whatever its cause."""

    still_falling: Annotated[float, Gt(0), Lt(1)] = 0.7  # the last loss over that of half the steps

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for result in evidence.stages:
            if result.kind != "OverfitGate" or result.passed:
                continue
            losses = [line["train/loss"] for line in evidence.epochs(result.stage)]
            last = losses[-1] if losses else math.nan
            half = losses[len(losses) // 2] if losses else math.nan
            needs_steps = last < self.still_falling * half
            steps = f"procedure.{result.stage}.max_steps={2 * max(1, len(losses))}"
            yield Finding(
                severity="fatal",
                sentence=f"the gate {result.stage} was not passed: {result.reason}",
                evidence={"steps": len(losses), "loss": last, "loss_halfway": half},
                cause="its loss was still falling: it had too few steps"
                if needs_steps
                else "model, loss and optimizer together cannot learn so few samples by heart: "
                "they will not learn many",
                remedies=[[steps]] if needs_steps else other_lrs(evidence),
                stage=result.stage,
                epoch=len(losses) or None,
            )
            return


def other_lrs(evidence: Evidence) -> list[list[str]]:
    """A tenth of the learning rate, and ten times as much."""
    lr = float(evidence.config["optimizer"].get("lr") or 1e-3)
    return [[f"optimizer.lr={lr / 10:.3g}"], [f"optimizer.lr={lr * 10:.3g}"]]
