"""The rule on an optimizer that was made for other parameters than the model now has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.rules.loop.loop_rule import LoopRule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class OptimizerMovesOthers(LoopRule):
    """Parameters that get gradients and that nothing moves, beside those that the optimizer has.

    What another optimizer moves is none of them. First layers that stand still below all that
    learn are a choice, which costs only the time of their gradients.
    """

    fatal_fraction: Annotated[float, Gt(0), Le(1)] = 0.5  # the rest cannot stand for the model

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        for record in epochs:
            if not record.get("missed_with_gradient"):
                continue
            idle = record["strangers"] - record["strangers_with_gradient"]
            names, fraction = record["missed_parameters"], record["missed_fraction"]
            is_low = record["missed_come_first"] and not idle
            case = "made_before" if idle else "kept_low" if is_low else "misses_some"
            is_fatal = bool(idle) and fraction > self.fatal_fraction
            yield self.finding(
                case,
                {
                    "names": names,
                    "tensors": record["num_missed"],
                    "fraction": fraction,
                    "tensors_of_others": record["strangers"],
                },
                severity="fatal" if is_fatal else None,
                stage=record["stage"],
                epoch=record["epoch"],
                parameters=listed(names),
                idle=idle,
            )
            return
