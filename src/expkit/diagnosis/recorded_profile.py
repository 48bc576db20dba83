"""The data profile of a run, and how far chance reaches in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from expkit.diagnosis.evidence import Evidence

Split = Mapping[str, Any]


def profile_of(evidence: Evidence) -> Mapping[str, Any]:
    """The run's data profile of its data; empty where none was taken."""
    records = evidence.of_kind("data")
    return records[-1] if records else {}


def splits_of(evidence: Evidence) -> Mapping[str, Split]:
    """The data profile of each split; train comes first."""
    splits: Mapping[str, Split] = profile_of(evidence).get("splits", {})
    return splits


def held_out_names(evidence: Evidence) -> list[str]:
    return [name for name in evidence.metadata.splits if name != "train"]


def deviation(fraction: float, count: int) -> float:
    """The standard deviation of a fraction of so many draws; never 0, as no draw is certain."""
    fraction = min(max(fraction, 1 / (count + 2)), 1 - 1 / (count + 2))
    return math.sqrt(fraction * (1 - fraction) / count)


def above_chance(accuracy: float, chance: float) -> float:
    """Accuracy on a scale from 0 at chance to 1 where all is right; below 0 where it is worse."""
    return (accuracy - chance) / (1 - chance) if chance < 1 else 0.0
