"""Momentum, betas and eps outside of what their optimizers can use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import all_curves, optimizer_name
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule

ADAMS = frozenset(["Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Lamb"])


@dataclass(frozen=True, kw_only=True)
class MomentumOutOfReason(Rule):
    """A memory of far too many steps, or of too few to divide by.

    Momentum m remembers 1 / (1 - m) steps: 0.99 a hundred. Adam's second beta must remember longer
    than its first, or a step is divided by another gradient's size than its own (Reddi et al.
    2018). A large eps takes away the division altogether.
    """

    max_momentum: Annotated[float, Gt(0), Lt(1)] = 0.98
    min_second_beta: Annotated[float, Ge(0), Lt(1)] = 0.9
    max_eps: Annotated[float, Gt(0)] = 0.01

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        wrong = list(self._wrong(evidence.config["optimizer"], optimizer_name(evidence.config)))
        if not wrong:
            return
        learns = any(
            curves.level is not None and curves.losses[-1] < 0.05 * curves.level
            for curves in all_curves(evidence)
        )
        key, value, why, remedy = wrong[0]
        yield Finding(
            severity="info" if learns else "warning",
            sentence=f"optimizer.{key}={value}: {why}",
            evidence={key: value, "loss_falls_nevertheless": learns},
            cause=f"optimizer.{key} is out of reason",
            remedies=[[f"optimizer.{remedy}"]],
        )

    def _wrong(self, options: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any, str, str]]:
        """Each option that is out of reason: its key, its value, why, and a sound one."""
        momentum = options.get("momentum")
        if name in ("SGD", "RMSprop") and momentum is not None and momentum > self.max_momentum:
            steps = f"{1 / max(1 - momentum, 1e-12):.3g} steps"
            yield "momentum", momentum, f"it goes on along the gradients of {steps}", "momentum=0.9"
        betas = options.get("betas")
        if betas is not None and name in ADAMS | {"Lion", "Ranger"}:
            yield from self._wrong_betas(list(betas), name)
        eps = options.get("eps")
        if name in ADAMS | {"RMSprop", "Ranger"} and eps is not None and eps >= self.max_eps:
            why = "beside it gradients vanish, and steps with them"
            yield "eps", eps, why, "eps=1e-8"

    def _wrong_betas(self, betas: list[float], name: str) -> Iterator[tuple[str, Any, str, str]]:
        first, second = betas
        sound = "betas=[0.9,0.99]" if name == "Lion" else "betas=[0.9,0.999]"
        if first > self.max_momentum:
            steps = f"{1 / max(1 - first, 1e-12):.3g} steps"
            yield "betas", betas, f"it goes on along the gradients of {steps}", sound
        elif name in ADAMS and second < min(self.min_second_beta, 1.0):
            why = "steps are divided by the size of the last few gradients alone"
            yield "betas", betas, why, sound
        elif name in ADAMS and second < first:
            yield "betas", betas, "it forgets the size of gradients before their direction", sound
