"""The minutes that a stage may take, read off its records: a resumed run counts those before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from expkit.records.files import Record

NUM_RECENT = 5  # epochs, whose median time the next ones are expected to take


@dataclass(frozen=True)
class TimeBudget:
    """A number of minutes, and how many epochs fit into them by the time that the last took.

    The time of an epoch is all of it: evaluation and checkpoints, too.
    """

    max_minutes: float
    max_epochs: int

    def minutes_used(self, records: Sequence[Record]) -> float:
        return math.fsum(record["wall_seconds"] for record in records) / 60

    def epochs_left(self, records: Sequence[Record]) -> int:
        """The epochs that still fit; all of them before the first one's time is known."""
        remaining = max(0, self.max_epochs - len(records))
        if not records:
            return remaining
        # the first epoch starts everything up
        recent = [record["wall_seconds"] for record in records[1:] or records][-NUM_RECENT:]
        left_seconds: float = 60 * (self.max_minutes - self.minutes_used(records))
        fit = int(left_seconds // max(median(recent), 1e-9))
        return max(0, min(remaining, fit))

    def planned_epochs(self, records: Sequence[Record]) -> int:
        """The epochs in all, by what is known after these: a schedule that is fitted ends there."""
        return len(records) + max(1, self.epochs_left(records))

    def reason(self, records: Sequence[Record]) -> str | None:
        """The reason to end before an epoch that would end too late, or None."""
        if self.epochs_left(records) > 0:
            return None
        return (
            f"{self.minutes_used(records):.3g} of {self.max_minutes:g} minutes used after epoch "
            f"{len(records)} of {self.max_epochs}: no further epoch fits"
        )
