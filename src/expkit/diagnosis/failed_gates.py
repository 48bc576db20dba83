"""Gates that were not passed: by how much, and what their losses and weights show."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from expkit.diagnosis.curves import TrainingCurves, all_curves, fraction_left
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.records.run.metadata import StageResult

FIRST_STEPS = 20  # within which a learning rate that is too high shows


@dataclass(frozen=True)
class FailedGate:
    """A gate that could not learn a few samples by heart, and its loss at each step."""

    evidence: Evidence
    result: StageResult

    @property
    def stage(self) -> str:
        return self.result.stage

    @functools.cached_property
    def losses(self) -> list[float]:
        return [record["train/loss"] for record in self.evidence.epochs(self.stage)]

    @property
    def num_steps(self) -> int:
        return len(self.losses)

    @property
    def first(self) -> float:
        return self.losses[0]

    @property
    def halfway(self) -> float:
        """The loss after half the steps; not a number where none was taken."""
        return self.losses[len(self.losses) // 2] if self.losses else math.nan

    @property
    def last(self) -> float:
        return self.losses[-1] if self.losses else math.nan

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, self.losses))

    @property
    def is_calm(self) -> bool:
        """Tell whether no loss left the numbers, and the first steps did not double it."""
        return self.is_finite and max(self.losses[:FIRST_STEPS]) <= 2 * self.first

    @property
    def burst(self) -> float:
        """The highest loss of the first steps, as a multiple of the first one."""
        known = [loss for loss in self.losses[:FIRST_STEPS] if not math.isnan(loss)]
        return max(known) / max(self.first, 1e-12)

    @functools.cached_property
    def weights_left(self) -> float | None:
        """The size of a typical weight after the gate, as a fraction of that before training."""
        records = self.evidence.of_kind("model")
        after = [each for each in records if each["stage"] == self.stage and each["epoch"] > 0]
        if not after or records[0] is after[0]:
            return None
        kinds = {row["name"]: row["kind"] for row in after[-1]["parameters"]}
        return fraction_left(records[0], after[-1], kinds)


def failed_gates(evidence: Evidence) -> Iterator[FailedGate]:
    """The gates that were not passed, in order."""
    for result in evidence.stages:
        if result.kind == "OverfitGate" and not result.passed:
            yield FailedGate(evidence, result)


def first_found(
    evidence: Evidence,
    judge: Callable[[TrainingCurves], Finding | None],
    judge_gate: Callable[[FailedGate], Finding | None],
) -> Iterator[Finding]:
    """The first finding on a training stage, else on a failed gate: one cause is named once."""
    found = chain(map(judge, all_curves(evidence)), map(judge_gate, failed_gates(evidence)))
    yield from islice((each for each in found if each is not None), 1)
