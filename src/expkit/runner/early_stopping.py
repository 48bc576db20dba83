"""Early stopping: by patience, by targets, or at the last epoch; and the best epoch so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expkit.metrics.criteria import Criterion, parse_criterion
from expkit.records.files import Record
from expkit.records.run.time_budget import TimeBudget


@dataclass(frozen=True)
class EarlyStopping:
    """Reads off the records whether training ends: a resumed run agrees with a whole one."""

    max_epochs: int
    monitor: str  # the metric that chooses the best epoch
    split: str  # of a metric without one: val where there is one, else train
    patience: int | None = None  # epochs since the best one
    targets: Sequence[Criterion] = ()  # which must all be met
    budget: TimeBudget | None = None

    def best_epoch(self, records: Sequence[Record]) -> int | None:
        """The first epoch with the best monitored figure; None while all are NaN."""
        key = with_split(self.monitor, self.split)
        sign = 1 if key.endswith("loss") else -1
        finite = [record for record in records if math.isfinite(record[key])]
        best = min(finite, key=lambda record: sign * record[key], default=None)
        return None if best is None else int(best["epoch"])

    def reason(self, records: Sequence[Record]) -> str | None:
        """The reason to end after these epochs, or None where training goes on."""
        if not records:
            return None
        last = records[-1]
        epoch, loss = last["epoch"], last["train/loss"]
        best = self.best_epoch(records) or epoch
        if not math.isfinite(loss):
            return f"the training loss became {loss} in epoch {epoch}"
        is_met = [each.is_met(last[with_split(each.name, self.split)]) for each in self.targets]
        if self.targets and all(is_met):
            return f"reached {', '.join(map(str, self.targets))} at epoch {epoch}"
        if self.patience is not None and epoch - best >= self.patience:
            return f"no better {self.monitor} for {self.patience} epochs; best epoch {best}"
        if epoch >= self.max_epochs:
            return f"{epoch} of {self.max_epochs} epochs; best epoch {best}"
        out_of_time = None if self.budget is None else self.budget.reason(records)
        return None if out_of_time is None else f"{out_of_time}; best epoch {best}"


def parse_targets(stop_at: Mapping[str, object] | None, key: str) -> list[Criterion]:
    """Parse `{accuracy: ">= 0.99"}`."""
    return [parse_criterion(name, value, key) for name, value in (stop_at or {}).items()]


def with_split(name: str, split: str) -> str:
    """Write `accuracy` as `val/accuracy`."""
    return name if "/" in name else f"{split}/{name}"
