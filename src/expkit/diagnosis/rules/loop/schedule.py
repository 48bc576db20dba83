"""The rule on a learning-rate scheduler that a loop steps at the wrong time, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rules.loop.loop_rule import LoopRule
from expkit.records.files import Record

IN_HALVES = "CosineAnnealingLR"  # beyond its end it rises again


@dataclass(frozen=True, kw_only=True)
class SchedulerMisstepped(LoopRule):
    """A scheduler stepped every batch that was made for epochs, or the other way round, or never.

    What it was made for is read off what it does: a rate that is next to nothing before the first
    epoch has ended, while others follow; an end that is exactly the number of optimizer steps.
    """

    needs: ClassVar[str | None] = "a scheduler"
    never_epochs: Annotated[int, Ge(2)] = 3
    fallen: Annotated[float, Gt(0), Le(1)] = 0.01  # of the highest rate
    early: Annotated[float, Gt(0), Le(1)] = 0.5  # of an epoch's steps, or of the scheduler's own
    near: Annotated[float, Gt(0), Le(1)] = 0.1  # of the optimizer's steps

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        known = [each for each in epochs if (each.get("schedule") or {}).get("steps") is not None]
        if not known:
            return
        last = known[-1]
        schedule, taken = last["schedule"], sum(each["schedule"]["steps"] for each in known)
        steps = sum(each["steps"] for each in known)
        seen = {"scheduler": schedule["class"], "scheduler_steps": taken, "optimizer_steps": steps}
        is_over = evidence.result(last["stage"]) is not None
        if schedule["before_first_step"]:
            yield self._finding("before_the_first_step", known[0], seen)
        elif taken == 0 and len(known) >= self.never_epochs and _is_constant(known):
            yield self._finding("never", last, {**seen, "epochs": len(known)})
        elif len(known) > 1 and taken >= 0.9 * steps > len(known):
            yield from self._every_batch(known, seen)
        elif is_over and taken <= len(known) + 1 and self._is_for_batches(schedule, taken, steps):
            yield self._finding("every_epoch", last, {**seen, "end": schedule["horizon"]})

    def _every_batch(self, known: list[Record], seen: dict[str, Any]) -> Iterable[Finding]:
        """The findings on a scheduler that steps with the optimizer."""
        first, horizon = known[0], known[-1]["schedule"]["horizon"]
        highest = max(each["highest_lr"] or 0.0 for each in known)
        later = max(each["highest_lr"] or 0.0 for each in known[1:])
        if max(first["last_lr"], later) < self.fallen * highest:
            rates = {"highest_lr": highest, "lr_after_an_epoch": first["last_lr"]}
            yield self._finding("every_batch", first, {**seen, **rates})
        elif (
            known[-1]["schedule"]["class"] == IN_HALVES
            and horizon
            and horizon <= self.early * first["steps"]
        ):
            yield self._finding("ends_within_an_epoch", first, {**seen, "end": horizon})

    def _is_for_batches(self, schedule: Record, taken: int, steps: int) -> bool:
        """Tell whether the scheduler's end is that of all optimizer steps, and is far away."""
        horizon = schedule["horizon"]
        if not horizon or taken > self.early * horizon:
            return False
        return bool(abs(horizon - steps) <= self.near * steps)

    def _finding(self, case: str, record: Record, seen: dict[str, Any]) -> Finding:
        return self.finding(case, seen, stage=record["stage"], epoch=record["epoch"])


def _is_constant(epochs: list[Record]) -> bool:
    """Tell whether the rate never moved, by whatever hand."""
    rates = {each[key] for each in epochs for key in ("first_lr", "highest_lr", "last_lr")}
    return len(rates) == 1
