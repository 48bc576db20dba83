"""Half precision that computes something else than fp32 does."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class PrecisionDisagrees(Rule):
    """A gradient in half precision is many times as long as the same one in fp32.

    bf16 keeps eight bits of a number, an error of a per cent or so; ten times is another number.
    """

    times: Annotated[float, Gt(1)] = 10.0
    least_fraction: Annotated[float, Gt(0)] = 0.5

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in evidence.of_kind("model"):
            gap = record.get("precision_gap")
            if not gap:
                continue
            whole, (precision, half) = gap["fp32"], list(gap.items())[-1]
            if math.isfinite(gap["total"]) and self._is_other(gap["total"], whole, half):
                yield self.finding(
                    "other_gradient",
                    {"parameter": gap["parameter"], "fp32": whole, precision: half},
                    stage=record["stage"],
                    epoch=0,
                    precision=precision,
                    half=half,
                )
                return

    def _is_other(self, total: float, whole: float, half: float) -> bool:
        return not math.isfinite(half) or half > max(
            self.times * whole, self.least_fraction * total
        )
