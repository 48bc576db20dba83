"""Criteria that a run did not meet, by how much: near is not met."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt, Lt

from expkit.diagnosis.commands import SEEDS, train_again
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.metrics.criteria import Criterion, parse_criterion, shown_bound, value_beside
from expkit.metrics.intervals import wilson
from expkit.metrics.log_loss import log_losses
from expkit.metrics.names import FRACTION
from expkit.metrics.percentages import points
from expkit.metrics.predictions import ClassPredictions, Predictions


@dataclass(frozen=True)
class Miss:
    """A criterion with what was measured; the counts where it is a fraction of samples."""

    criterion: Criterion
    split: str
    value: float
    count: int | None = None

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
        is_near = any(miss.is_near(self.near_fraction) for miss in misses)
        named = [f"{miss.criterion.name} on {miss.split}, {miss}" for miss in misses]
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
        if measured is not None and not criterion.is_met(measured[0]):
            yield Miss(criterion, split, *measured)


def _numbers(miss: Miss) -> dict[str, Any]:
    numbers: dict[str, Any] = {"reached": miss.value, "bound": miss.criterion.bound}
    if miss.count is not None:
        numbers |= {"samples": miss.count, "samples short": miss.samples_short}
    return numbers


def _measure(criterion: Criterion, predictions: Predictions) -> tuple[float, int | None] | None:
    """The metric, with its samples where it is a fraction of them; None where not known here."""
    metric, class_name = criterion.measure.metric, criterion.measure.class_name
    if not isinstance(predictions, ClassPredictions):
        return _measure_values(metric, predictions)
    if class_name is not None:
        return _measure_class(metric, class_name, predictions)
    total = len(predictions.targets)
    best = {"accuracy": 1, "top5_accuracy": 5}.get(metric)
    if best is not None:
        return float((predictions.ranks < best).mean()), total
    value = _measure_all(metric, predictions)
    return None if value is None else (value, None)


def _measure_all(metric: str, predictions: ClassPredictions) -> float | None:
    """A metric of all classes; means are over those that occur."""
    import numpy as np
    from sklearn import metrics

    targets, given = predictions.targets, predictions.predictions
    if metric in ("balanced_accuracy", "macro_recall"):
        return float(
            metrics.recall_score(targets, given, average="macro", labels=np.unique(targets))
        )
    if metric in ("macro_precision", "macro_f1"):
        score = {"macro_precision": metrics.precision_score, "macro_f1": metrics.f1_score}[metric]
        labels = np.unique(targets)
        return float(score(targets, given, average="macro", labels=labels, zero_division=0))
    if metric == "log_loss":
        return float(log_losses(predictions.probabilities, targets).mean())
    if metric == "auroc" and len(predictions.class_names) == 2 and len(np.unique(targets)) == 2:
        scores = predictions.probabilities[:, 1]
        return float(metrics.roc_auc_score(targets, scores)) if np.isfinite(scores).all() else None
    return None


def _measure_class(
    metric: str, class_name: str, predictions: ClassPredictions
) -> tuple[float, int | None] | None:
    index = list(predictions.class_names).index(class_name)
    truly, predicted = predictions.targets == index, predictions.predictions == index
    right, true, given = (int(each.sum()) for each in (truly & predicted, truly, predicted))
    if metric == "recall" and true:
        return right / true, true
    if metric == "precision" and given:
        return right / given, given
    if metric == "f1" and true + given:
        return 2 * right / (true + given), None
    return math.nan, None


def _measure_values(metric: str, predictions: Any) -> tuple[float, None] | None:
    import numpy as np

    targets = predictions.targets.astype(np.float64)
    errors = predictions.predictions.astype(np.float64) - targets
    if metric == "mae":
        return float(np.abs(errors).mean()), None
    if metric == "rmse":
        return math.sqrt(float((errors**2).mean())), None
    total = float(((targets - targets.mean(0)) ** 2).sum())
    return (1 - float((errors**2).sum()) / total if total else math.nan), None
