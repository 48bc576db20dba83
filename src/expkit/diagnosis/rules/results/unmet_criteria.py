"""Criteria that a run did not meet, by how much: near is not met."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt, Lt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.next_command import SEEDS, train_again
from expkit.diagnosis.rule import Rule
from expkit.metrics.class_counts import ClassCounter
from expkit.metrics.class_patterns import is_pattern, judged_classes, worst_class
from expkit.metrics.classification import measure, measure_each_class, most_predicted
from expkit.metrics.criteria import Criterion, parse_criterion, shown_bound, value_beside
from expkit.metrics.intervals import wilson
from expkit.metrics.names import FRACTION, LATENCY
from expkit.metrics.percentages import points
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.records.run.measured_latency import latency_of


@dataclass(frozen=True)
class Miss:
    """A criterion with what was measured; the counts where it is a fraction of samples."""

    criterion: Criterion
    split: str
    value: float
    count: int | None = None
    class_name: str | None = None  # that the criterion fell to, where it names several

    @property
    def name(self) -> str:
        """The criterion as a sentence names it: of what, and on which samples."""
        if self.criterion.metric in LATENCY:
            return self.criterion.name
        of = "" if self.class_name is None else f" ({self.class_name})"
        return f"{self.criterion.name}{of} on {self.split}"

    @property
    def is_fraction(self) -> bool:
        return self.criterion.measure.metric in FRACTION

    @property
    def samples_short(self) -> int | None:
        """The number of samples that were missing: at 1155 of 1226, 4 for > 94.5 %."""
        if self.count is None or not self.criterion.relation.startswith(">"):
            return None
        right = round(self.value * self.count)
        wanted = next(
            n for n in range(right, self.count + 2) if self.criterion.is_met(n / self.count)
        )
        return wanted - right

    def is_near(self, fraction: float) -> bool:
        """Tell whether other samples might have met it, or the bound is within a fraction of it."""
        if self.count is not None:
            ends = wilson(round(self.value * self.count), self.count)
            return ends is not None and ends[0] <= self.criterion.bound <= ends[1]
        return abs(self.value - self.criterion.bound) <= fraction * abs(self.criterion.bound)

    def __str__(self) -> str:
        relation, bound = self.criterion.relation, self.criterion.bound
        value = value_beside(self.value, relation, bound, is_fraction=self.is_fraction)
        text = f"{value} is not {relation} {shown_bound(bound, is_fraction=self.is_fraction)}"
        if not math.isfinite(self.value):
            return text
        gap = abs(self.value - bound)
        if not gap:
            return f"{text}, but equal to it"
        by = points(gap).removeprefix("+") if self.is_fraction else f"{gap:.2g}"
        short = self.samples_short
        return f"{text}: missed by {by}" + (
            "" if short is None else f", {short} of {self.count} samples"
        )


@dataclass(frozen=True, kw_only=True)
class CriterionMissed(Rule):
    """A criterion, as stated beforehand, was not met."""

    near_fraction: Annotated[float, Gt(0), Lt(1)] = 0.02

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        misses = list(_misses(evidence))
        if not misses:
            return
        is_near = all(miss.is_near(self.near_fraction) for miss in misses)
        named = [f"{miss.name}, {miss}" for miss in misses]
        yield self.finding(
            "near" if is_near else "far",
            {str(miss.criterion): _numbers(miss) for miss in misses},
            misses=", and ".join(named),
            over_seeds=train_again(evidence.overrides, SEEDS, is_sweep=True),
        )


def _misses(evidence: Evidence) -> Iterable[Miss]:
    for name, condition in (evidence.config.get("criteria") or {}).items():
        criterion = parse_criterion(name, condition)
        split = criterion.split(evidence.metadata.judged_split)
        predictions = evidence.predictions.get(split)
        if predictions is None or not len(predictions.targets):
            continue
        measured = _measure(criterion, predictions)
        if criterion.metric in LATENCY:
            seconds = latency_of(evidence.stages).get(criterion.metric)
            measured = None if seconds is None else (seconds,)
        if measured is not None and not criterion.is_met(measured[0]):
            yield Miss(criterion, split, *measured)


def _numbers(miss: Miss) -> dict[str, Any]:
    numbers: dict[str, Any] = {"reached": miss.value, "bound": miss.criterion.bound}
    if miss.count is not None:
        numbers |= {"samples": miss.count, "samples short": miss.samples_short}
    return numbers


Measured = tuple[float] | tuple[float, int | None] | tuple[float, int | None, str]


def _measure(criterion: Criterion, predictions: Predictions) -> Measured | None:
    """The metric, with its samples where it is a fraction of them; None where there is none."""
    metric, class_name = criterion.measure.metric, criterion.measure.class_name
    if isinstance(predictions, ClassPredictions):
        if metric == "max_predicted_fraction":
            name, count = most_predicted(predictions)
            return count / len(predictions.targets), len(predictions.targets), name
        if is_pattern(class_name, predictions.class_names):
            return _measure_worst(criterion, predictions)
        if class_name is not None:
            return _measure_class(metric, class_name, predictions)
    value = measure(predictions).get(metric)
    if value is None:
        return None
    is_counted = metric in ("accuracy", "top5_accuracy")
    return value, len(predictions.targets) if is_counted else None


def _measure_worst(criterion: Criterion, predictions: ClassPredictions) -> Measured | None:
    """The class by which a criterion of several is missed."""
    metric, pattern = criterion.measure.metric, criterion.measure.class_name
    classes = judged_classes(pattern or "", measure_each_class(predictions))
    upward = criterion.relation.startswith(">")
    worst = worst_class(metric, classes, higher_is_better=upward)
    if worst is None:
        return None
    return *_measure_class(metric, worst.name, predictions), worst.name


def _measure_class(
    metric: str, class_name: str, predictions: ClassPredictions
) -> tuple[float, int | None]:
    index = list(predictions.class_names).index(class_name)
    counts = ClassCounter.of(predictions).count()
    of = {"recall": counts.true, "precision": counts.predicted}.get(metric)
    value = float(getattr(counts, metric)[index])
    return value, None if of is None or math.isnan(value) else int(of[index])
