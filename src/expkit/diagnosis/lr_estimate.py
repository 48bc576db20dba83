"""The learning rate that should do, by what was measured before training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import geometric_mean, median
from typing import Any

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.settings import is_adaptive, lr_of, optimizer_options
from expkit.records.files import Record

GOOD_UPDATE = 0.01  # of a typical weight in a first step: most of what trained fast had less


def estimate(evidence: Evidence, lr: float) -> float | None:
    """A learning rate that should do, by the range test and the size of the first step.

    Where they differ, the truth lay near the lower one for steps that do not grow with the
    gradient, and between them for those that do: gradients grow once training is under way.
    """
    sweeps = [sweep["suggested"] for sweep in evidence.of_kind("lr_range_test")[:1]]
    ratios = [expected_update(evidence.config, each) for each in evidence.of_kind("model")[:1]]
    estimates = [*sweeps, *(lr * GOOD_UPDATE / ratio for ratio in ratios if ratio)]
    found = [float(each) for each in estimates if each is not None and is_positive(each)]
    if not found:
        return None
    return min(found) if is_adaptive(evidence.config) else geometric_mean(found)


def is_positive(*numbers: float | None) -> bool:
    return all(number is not None and 0 < number < math.inf for number in numbers)


def expected_update(config: Mapping[str, Any], record: Record) -> float | None:
    """The fraction of a typical weight that one step changes, by the optimizer's formula."""
    updates = expected_updates(config, record)
    return median(update for update, _ in updates) if updates else None


def expected_updates(config: Mapping[str, Any], record: Record) -> list[tuple[float, int]]:
    """The fraction of each weight that one step changes, with the weight's size."""
    lr = lr_of(config)
    rows = [row for row in record["parameters"] if row["kind"] == "weight" and row["optimised"]]
    rows = [row for row in rows if is_positive(row["weight_rms"], row["gradient_rms"])]
    if is_adaptive(config):
        return [(lr / row["weight_rms"], row["size"]) for row in rows]
    momentum = min(float(optimizer_options(config).get("momentum", 0.0)), 0.999)
    factor = lr / (1 - momentum)
    return [(factor * row["gradient_rms"] / row["weight_rms"], row["size"]) for row in rows]
