"""Progressive unfreezing: layers that thaw and undo what was learnt above them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import TrainingCurves, all_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.remedies import lower_lr, one_digit
from expkit.diagnosis.rule import Rule

NUM_BEFORE = 2  # epochs before something thaws, whose mean loss it is held against


@dataclass(frozen=True, kw_only=True)
class UnfreezingTooSudden(Rule):
    """The training loss leaps in the epoch in which layers thaw.

    Gradients of what has just thawed are large beside those of layers that have settled: a step of
    the full learning rate takes them away from what they were trained to be.
    """

    min_rise: Annotated[float, Gt(0)] = 0.1
    min_level_rise: Annotated[float, Gt(0)] = 0.02
    within_epochs: Annotated[int, Ge(1)] = 3
    recovered_fraction: Annotated[float, Gt(0), Le(1)] = 1.0

    def find(self, evidence: Evidence) -> Iterator[Finding]:
        for curves in all_curves(evidence):
            unfreeze = curves.config.get("unfreeze") or {}
            for epoch, globs in sorted((int(key), globs) for key, globs in unfreeze.items()):
                if 1 < epoch <= curves.num_epochs and self._leaps(curves, epoch):
                    named = ", ".join([globs] if isinstance(globs, str) else globs)
                    yield self._sudden(curves, epoch, named)
                    return

    def _leaps(self, curves: TrainingCurves, epoch: int) -> bool:
        """Tell whether the loss rose by much of what it was, and of what a constant costs."""
        before, at = _before(curves, epoch), curves.losses[epoch - 1]
        floor = self.min_level_rise * (curves.level or 0.0)
        return not at - before <= max(self.min_rise * before, floor)  # so does a NaN

    def _sudden(self, curves: TrainingCurves, epoch: int, named: str) -> Finding:
        before, at = _before(curves, epoch), curves.losses[epoch - 1]
        after = curves.losses[epoch : epoch + self.within_epochs]
        recovers = any(loss <= self.recovered_fraction * before for loss in after)
        warmup = float(curves.config.get("unfreeze_warmup_epochs") or 0.0)
        return self.finding(
            "leaps",
            {
                "loss_before": before,
                "loss_in_epoch": at,
                "rise": (at - before) / before if before > 0 else None,
                "thawed": named,
                "unfreeze_warmup_epochs": warmup,
                "recovers_within_epochs": recovers,
            },
            severity="info" if recovers else "warning",
            stage=curves.stage,
            epoch=epoch,
            before=before,
            at=at,
            named=named,
            longer_warmup=max(2.0, 2 * warmup),
            lower_lr=one_digit(lower_lr(curves.evidence)),
        )


def _before(curves: TrainingCurves, epoch: int) -> float:
    return fmean(curves.losses[max(0, epoch - 1 - NUM_BEFORE) : epoch - 1])
