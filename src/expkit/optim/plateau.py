"""A schedule that follows a recorded metric, replayed from the records at every question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from expkit.optim.schedule import History, Schedule


@dataclass(frozen=True)
class Plateau(Schedule):
    """Multiplies the rate by `factor` when a metric has not got better for `patience` epochs.

    A metric whose name ends in `loss` is better lower, any other higher; by a fraction of more than
    `threshold` of the best so far. Epochs of the warm-up do not count. Patience means here what
    it means to a stage; torch's ReduceLROnPlateau waits one epoch more.
    """

    metric: str = "loss"
    factor: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(1)] = 10
    threshold: Annotated[float, Ge(0), Lt(1)] = 0.0001
    min_scale: Annotated[float, Ge(0), Lt(1)] = 0.0

    @property
    def watched_metric(self) -> str | None:
        return self.metric

    def scale_after_warmup(self, epochs: float, max_epochs: int, history: History) -> float:
        first = math.ceil(self.warmup_epochs) + 1
        finished = [record for record in history if first <= record["epoch"] <= epochs]
        if not finished:
            return 1.0
        key = key_of(self.metric, finished[0])
        scale, best, num_waited = 1.0, math.nan, 0
        for figure in (record[key] for record in finished):
            if self.is_better(figure, best):
                best, num_waited = figure, 0
            else:
                num_waited += 1
            if num_waited == self.patience:
                scale, num_waited = max(scale * self.factor, self.min_scale), 0
        return scale

    def is_better(self, figure: float, best: float) -> bool:
        """Tell whether a figure beats the best so far; any number beats none at all."""
        if math.isnan(best):
            return not math.isnan(figure)
        margin = self.threshold * abs(best)
        return figure < best - margin if self.metric.endswith("loss") else figure > best + margin


def key_of(metric: str, record: Mapping[str, Any]) -> str:
    """The key of a metric; without a split in its name, the held-out one where there is one."""
    if "/" in metric:
        return metric
    keys = [key for key in record if key.endswith(f"/{metric}") and not key.startswith("train/")]
    return keys[0] if keys else f"train/{metric}"
