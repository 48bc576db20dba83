"""The latency of a run's model, where its evaluation has measured it for a criterion."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.metrics.names import LATENCY
from expkit.records.run.metadata import StageResult


def latency_of(stages: Sequence[StageResult]) -> dict[str, float]:
    """Return the seconds of one image by metric; empty where nobody asked."""
    evaluations = [stage for stage in stages if stage.kind == "Evaluation"]
    figures = (evaluations[-1].figures if evaluations else None) or {}
    return {name: float(figures[name]) for name in LATENCY if name in figures}
