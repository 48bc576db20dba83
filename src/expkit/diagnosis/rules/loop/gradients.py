"""Rules on gradients of a watched loop: not cleared, cut off, clipped too early, not divided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rules.loop.loop_rule import LoopRule
from expkit.diagnosis.settings import is_adaptive, optimizer_name
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class ZeroGradForgotten(LoopRule):
    """Gradients of a step that are still there when the next ones come.

    Of several backward passes for one step, as in accumulation, one need meet cleared gradients. A
    loop that clears them once an epoch meets them cleared once.
    """

    min_steps: Annotated[int, Ge(1)] = 3

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        for record in epochs:
            left, cleared = record["steps_not_cleared"], record["steps_cleared"]
            if left >= self.min_steps and cleared <= 1:
                yield self.finding(
                    "never_cleared",
                    {"steps": left + cleared, "steps_that_met_old_gradients": left},
                    stage=record["stage"],
                    epoch=record["epoch"],
                    optimizer=optimizer_name(evidence.config),
                )
                return


@dataclass(frozen=True, kw_only=True)
class NoGradientReachesModel(LoopRule):
    """Steps at which no parameter has a gradient: the optimizer moves nothing."""

    min_steps: Annotated[int, Ge(1)] = 3

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        for record in epochs:
            without, steps = record["steps_without_gradient"], record["steps"]
            if without == steps >= self.min_steps:
                yield self.finding(
                    "none_at_all",
                    {"steps": steps, "steps_without_gradient": without},
                    stage=record["stage"],
                    epoch=record["epoch"],
                )
                return


@dataclass(frozen=True, kw_only=True)
class ClippedBeforeUnscaling(LoopRule):
    """Gradients that were made smaller between the backward pass and the scaler's division.

    A scaled gradient is thousands of times too large, so that clipping leaves next to nothing of
    it. A small factor that somebody means, such as a mean over processes, is no clipping.
    """

    needs: ClassVar[str | None] = "a scaler"
    min_steps: Annotated[int, Ge(1)] = 3
    max_kept: Annotated[float, Gt(0), Le(1)] = 0.05

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        for record in epochs:
            seen = record.get("clipped_before_unscaling")
            if not seen or seen["steps"] < self.min_steps:
                continue
            if seen["changed"] > seen["steps"] / 2 and seen["ratio"] < self.max_kept:
                yield self.finding(
                    "clipped_early",
                    {
                        "gradients_seen": seen["steps"],
                        "made_smaller": seen["changed"],
                        "kept_fraction": seen["ratio"],
                    },
                    stage=record["stage"],
                    epoch=record["epoch"],
                )
                return


@dataclass(frozen=True, kw_only=True)
class AccumulatedWithoutDivision(LoopRule):
    """Gradients of several batches of the loader, added up for one step without dividing.

    Only where each batch of the loader went backward once: two losses of one batch are meant to be
    added. Adam's steps do not grow with the gradient.
    """

    needs: ClassVar[str | None] = "a loader that has a length"
    min_batches: Annotated[float, Gt(1)] = 1.9  # a step

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        if is_adaptive(evidence.config):
            return
        for record in epochs:
            expected, steps = record.get("expected_batches"), record["steps"]
            if not expected or not steps or record["loss_reduction"] != "mean":
                continue
            is_each_once = record["batches"] == expected
            batches = record["batches"] / steps
            if is_each_once and batches >= self.min_batches and self._is_whole(evidence, record):
                yield self.finding(
                    "not_divided",
                    {
                        "batches_per_step": record["most_batches_a_step"],
                        "least_loss_factor": record["loss_factors"][0],
                        "loss_factor": record["loss_factors"][1],
                    },
                    stage=record["stage"],
                    epoch=record["epoch"],
                    optimizer=optimizer_name(evidence.config),
                )
                return

    def _is_whole(self, evidence: Evidence, record: Record) -> bool:
        """Tell whether each loss went backward as it was, but for the scale of a scaler."""
        factors = record.get("loss_factors")
        signals = evidence.of_kind("epoch", record["stage"])
        same = [each for each in signals if each["epoch"] == record["epoch"]]
        scale = (same[0].get("loss_scale") if same else None) or 1.0
        return factors is not None and all(0.9 < each / scale < 1.1 for each in factors)
