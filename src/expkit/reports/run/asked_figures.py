"""Figures that a run has because a criterion asks for them, beside those that every run has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from expkit.metrics.baselines import levels_on_demand
from expkit.metrics.class_patterns import is_pattern
from expkit.metrics.criteria import Criterion
from expkit.metrics.names import LATENCY, ON_DEMAND
from expkit.records.run.measured_latency import latency_of
from expkit.records.run.reader import Run
from expkit.reports.run.figures import Figure, Measured


def with_asked(
    run: Run, measured: Mapping[str, Measured], criteria: Sequence[Criterion]
) -> dict[str, Measured]:
    """Return what was measured, with the figures that only some criteria name."""
    asked = {each.metric: each for each in criteria if _is_on_demand(each, run)}
    found = {split: _with_metrics(each, asked) for split, each in measured.items()}
    judged = run.dataset.judged_split
    if asked.keys() & LATENCY.keys() and judged in found:
        figures = {**found[judged].figures, **latency_of(run.stages)}
        found[judged] = replace(found[judged], figures=figures)
    return found


def _is_on_demand(criterion: Criterion, run: Run) -> bool:
    measure = criterion.measure
    return (
        measure.metric in ON_DEMAND[run.dataset.task]
        or measure.metric in LATENCY
        or is_pattern(measure.class_name, run.dataset.class_names or ())
    )


def _with_metrics(measured: Measured, asked: Mapping[str, Criterion]) -> Measured:
    figures, intervals = dict(measured.figures), dict(measured.intervals)
    for metric, criterion in asked.items():
        found = look_up(measured, criterion)
        if found.value is not None and metric not in LATENCY:
            figures[metric] = found.value
            intervals |= {} if found.interval is None else {metric: found.interval}
    return replace(measured, figures=figures, intervals=intervals)


def look_up(measured: Measured, criterion: Criterion) -> Figure:
    """Return what a criterion is judged by; of several classes, the one that decides."""
    return measured.look_up(criterion.metric, upward=criterion.relation.startswith(">"))


def details_of(criterion: Criterion, found: Figure, run: Run) -> dict[str, Any]:
    """Return what the record of a criterion says more, of the kinds that have more to say."""
    details: dict[str, Any] = {}
    if found.class_name is not None:
        details["worst_class"] = found.class_name
    if found.num_classes is not None:
        details["num_classes"] = found.num_classes
    p95 = latency_of(run.stages).get("latency_p95_seconds")
    if criterion.metric == "latency_seconds" and p95 is not None and math.isfinite(p95):
        details["p95"] = p95
    return details


def asked_levels(run: Run, criteria: Sequence[Criterion]) -> tuple[dict[str, float], ...]:
    """Return chance and always one class, of the figures that criteria name."""
    count = run.dataset.num_classes or 0
    pairs = {
        each.metric: levels
        for each in criteria
        if count
        and _is_on_demand(each, run)
        and (levels := levels_on_demand(each.metric, count)) is not None
    }
    return tuple({name: pair[place] for name, pair in pairs.items()} for place in (0, 1))
