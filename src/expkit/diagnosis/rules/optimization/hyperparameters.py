"""Momentum, betas and eps outside of what their optimizers can use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import all_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import optimizer_name, optimizer_options

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
    learnt_fraction: Annotated[float, Gt(0), Lt(1)] = 0.05

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        options, name = optimizer_options(evidence.config), optimizer_name(evidence.config)
        wrong = self._wrong(options, name)
        if wrong is None:
            return
        learns = any(
            curves.level is not None and curves.losses[-1] < self.learnt_fraction * curves.level
            for curves in all_curves(evidence)
        )
        case, key = wrong
        value, memory = options[key], options[key]
        if key == "betas":
            value, memory = list(value), value[0]
        yield self.finding(
            case,
            {key: value, "loss_falls_nevertheless": learns},
            severity="info" if learns else "warning",
            num_steps=1 / max(1 - memory, 1e-12),
            second_beta=0.99 if name == "Lion" else 0.999,
        )

    def _wrong(self, options: Mapping[str, Any], name: str) -> tuple[str, str] | None:
        """The first option that is out of reason: its case, and its key."""
        momentum, betas, eps = (options.get(key) for key in ("momentum", "betas", "eps"))
        if name in ("SGD", "RMSprop") and momentum is not None and momentum > self.max_momentum:
            return "momentum", "momentum"
        if betas is not None and name in ADAMS | {"Lion", "Ranger"}:
            first, second = betas
            if first > self.max_momentum:
                return "first_beta", "betas"
            if name in ADAMS and second < min(self.min_second_beta, 1.0):
                return "second_beta", "betas"
            if name in ADAMS and second < first:
                return "reversed_betas", "betas"
        if name in ADAMS | {"RMSprop", "Ranger"} and eps is not None and eps >= self.max_eps:
            return "eps", "eps"
        return None
