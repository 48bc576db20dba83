"""Numbers beyond the range of fp16."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import TrainingCurves, all_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule


@dataclass(frozen=True, kw_only=True)
class HalfPrecisionRange(Rule):
    """fp16's scaler skips steps again and again, or its numbers overflow in the forward pass.

    It begins at 65536 and halves at each overflow: a dozen in the first epoch are its way of
    finding the scale. Many later mean that there is no scale for the largest and the smallest.
    """

    max_skipped_fraction: Annotated[float, Gt(0), Le(1)] = 0.2
    min_skipped: Annotated[int, Ge(1)] = 3
    min_scale: Annotated[float, Gt(0)] = 1.0
    max_burst: Annotated[float, Gt(1)] = 2.0

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        if evidence.config["device"].get("precision") != "fp16":
            return
        for curves in all_curves(evidence):
            found = self._judge_overflow(curves) or self._judge_scale(curves)
            if found is not None:
                yield found
                return

    def _judge_overflow(self, curves: TrainingCurves) -> Finding | None:
        """The finding of a loss that ended without a rise before it: the range broke it."""
        broken = next((s for s in curves.signals if s["first_non_finite_step"]), None)
        first = curves.first_loss
        if broken is None or first is None or curves.burst > self.max_burst:
            return None
        step = broken["first_non_finite_step"]
        return self._finding(
            "overflow",
            curves,
            {"first_non_finite_step": step, "first_loss": first, "origin": broken.get("origin")},
            broken_epoch=broken["epoch"],
        )

    def _judge_scale(self, curves: TrainingCurves) -> Finding | None:
        steps_an_epoch = curves.num_steps / curves.num_epochs
        for signal in curves.signals[1:]:
            scale, skipped = signal.get("loss_scale"), signal.get("skipped_steps")
            if scale is None:
                continue
            fraction = (skipped or 0) / steps_an_epoch
            is_often = (skipped or 0) >= self.min_skipped
            if (is_often and fraction > self.max_skipped_fraction) or not scale >= self.min_scale:
                return self._finding(
                    "skipped_steps",
                    curves,
                    {"skipped_steps": skipped, "skipped_fraction": fraction, "loss_scale": scale},
                    count=skipped or 0,
                    skipped_epoch=signal["epoch"],
                )
        return None

    def _finding(
        self, case: str, curves: TrainingCurves, numbers: dict[str, object], **values: Any
    ) -> Finding:
        return self.finding(
            case,
            numbers,
            severity="warning" if math.isfinite(curves.losses[-1]) else "fatal",
            stage=curves.stage,
            epoch=curves.num_epochs,
            **values,
        )
