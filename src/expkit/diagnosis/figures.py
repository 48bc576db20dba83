"""Statistics of a metric over the epochs of a stage."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.diagnosis.evidence import Evidence


def column(records: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A metric of every epoch; empty where it is not recorded or was ever not a number."""
    values = [float(record.get(name, math.nan)) for record in records]
    return values if all(map(math.isfinite, values)) else []


def smooth(values: Sequence[float]) -> list[float]:
    """The means over each epoch and its two neighbours: one lucky epoch is no best."""
    return [statistics.fmean(values[max(0, i - 1) : i + 2]) for i in range(len(values))]


def noise(values: Sequence[float]) -> float:
    """The standard deviation of one epoch, free of the trend, from second differences.

    Of independent noise those have six times its variance; a straight trend adds nothing. Their
    median is taken, which a steep start does not move; of normal ones it is 0.6745 deviations.
    """
    if len(values) < 4:
        return math.inf
    bends = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return statistics.median(bends) / (0.6745 * math.sqrt(6))


def slope(values: Sequence[float]) -> float:
    """The change per epoch along the line of least squares."""
    if len(values) < 2:
        return 0.0
    return statistics.linear_regression(range(len(values)), values).slope


def monitor_of(evidence: Evidence, stage: str) -> str:
    """The metric that chooses the stage's best epoch, with its split."""
    name = str(evidence.stage_config(stage).get("monitor") or "loss")
    return name if "/" in name else f"{evidence.monitored}/{name}"


def best_index(values: Sequence[float], *, falls: bool) -> int:
    """The index of the first best value."""
    return values.index(min(values) if falls else max(values))


def is_loss(name: str) -> bool:
    return name.endswith("loss")


def seconds_per_epoch(records: Sequence[Mapping[str, Any]]) -> float:
    """The median time of an epoch with its evaluation, without the first, which warms up."""
    later = records[1:] or records
    times = [float(each.get("wall_seconds") or each.get("seconds") or 0.0) for each in later]
    return statistics.median(times) if times else 0.0


def minutes(seconds: float) -> str:
    """Write `12 min`, or seconds where that says more."""
    return f"{seconds / 60:.0f} min" if seconds >= 100 else f"{seconds:.0f} s"
