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
    least_fraction: Annotated[float, Gt(0)] = 0.5  # of the whole gradient: less is rounding

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in evidence.of_kind("model"):
            gap = record.get("precision_gap")
            if not gap:
                continue
            whole, (precision, half) = gap["fp32"], list(gap.items())[-1]
            if math.isfinite(gap["total"]) and self._is_other(gap["total"], whole, half):
                yield self._finding(record["stage"], gap["parameter"], precision, whole, half)
                return

    def _is_other(self, total: float, whole: float, half: float) -> bool:
        return not math.isfinite(half) or half > max(
            self.times * whole, self.least_fraction * total
        )

    def _finding(
        self, stage: str, parameter: str, precision: str, whole: float, half: float
    ) -> Finding:
        return Finding(
            severity="warning",
            sentence=f"in {precision} the gradient of {parameter} is {half:.3g} long, "
            f"in fp32 {whole:.3g}",
            evidence={"parameter": parameter, "fp32": whole, precision: half},
            cause="a kernel of this device overflows, or leaves a part of the gradient unset; "
            "clipping and every other use of the gradients' norm then mean nothing",
            remedies=[["device.precision=fp32"]],
            stage=stage,
            epoch=0,
        )
