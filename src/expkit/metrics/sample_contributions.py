"""Each sample's part in the difference of a figure between two models that predicted it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from expkit.metrics.class_counts import ClassCounter
from expkit.metrics.classification import losses_of
from expkit.metrics.names import CLASS_METRICS, MAX_RANKED_CLASSES, Measure
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.ranking import (
    influence_on_auroc,
    influence_on_average_precision,
    one_vs_rest,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.metrics.predictions import Predictions, ValuePredictions

    Floats = npt.NDArray[np.float64]

RANKED = ("auroc", "average_precision")


@dataclass(frozen=True)
class Contributions:
    """They sum to the difference; those to an area under a curve are derivatives, and do not."""

    values: Floats  # a number a sample
    num_samples: int  # that the figure rests on, of those


def contributions_of(
    ours: Predictions, theirs: Predictions, metrics: Collection[str]
) -> dict[str, Contributions]:
    """Each sample's part by metric; one that has no such parts, as ECE, is left out."""
    if isinstance(ours, ClassPredictions) and isinstance(theirs, ClassPredictions):
        return _of_classes(ours, theirs, metrics)
    assert not isinstance(ours, ClassPredictions)
    assert not isinstance(theirs, ClassPredictions)
    return _of_values(ours, theirs)


def _of_classes(
    ours: ClassPredictions, theirs: ClassPredictions, metrics: Collection[str]
) -> dict[str, Contributions]:
    num_samples = len(ours.targets)
    found = {"log_loss": (losses_of(ours) - losses_of(theirs)) / num_samples}
    macro = {metric: np.zeros(num_samples) for metric in CLASS_METRICS}
    of_a_class = dict[str, Contributions]()
    wanted = [(name, Measure.parse(name)) for name in metrics]
    counters = ClassCounter.of(ours), ClassCounter.of(theirs)
    occurring = [ours.class_names[number] for number in np.unique(ours.targets)]
    for class_name in occurring:
        numbers = (list(side.class_names).index(class_name) for side in (ours, theirs))
        pair = [_Class.of(*each) for each in zip(counters, numbers, strict=True)]
        for metric in macro:
            macro[metric] += _of_ratio(pair, metric) / len(occurring)
        for name, measure in wanted:
            if measure.class_name == class_name and measure.metric in CLASS_METRICS:
                rests_on = pair[0].counted(measure.metric) | pair[1].counted(measure.metric)
                parts = _of_ratio(pair, measure.metric)
                of_a_class[name] = Contributions(parts, int(rests_on.sum()))
    found |= {f"macro_{metric}": parts for metric, parts in macro.items()}
    found["balanced_accuracy"] = macro["recall"]
    if len(ours.class_names) <= MAX_RANKED_CLASSES and set(RANKED) & set(metrics):
        found |= _of_areas(ours, theirs)
    of_all = {name: Contributions(found[name], num_samples) for name in metrics if name in found}
    return {**of_all, **of_a_class}


@dataclass(frozen=True)
class _Class:
    """Samples of one class, and those that a model returns it."""

    true: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, counter: ClassCounter, number: int) -> _Class:
        return cls(counter.targets == number, counter.predicted_classes == number)

    def counted(self, metric: str) -> npt.NDArray[np.bool_]:
        """Samples that the metric of this class rests on."""
        masks = {"precision": self.predicted, "recall": self.true}
        return masks.get(metric, self.predicted | self.true)

    def ratio(self, metric: str) -> tuple[Floats, Floats]:
        """Each sample's part in the metric's numerator, and in its denominator."""
        right = (self.true & self.predicted).astype(np.float64)
        if metric == "f1":
            return 2 * right, self.true.astype(np.float64) + self.predicted
        return right, self.counted(metric).astype(np.float64)


def _of_ratio(pair: Sequence[_Class], metric: str) -> Floats:
    """Divide the difference of two ratios of sums among the samples that they differ in.

    N / D - M / E is (N - M - r (D - E)) / d, where r is the mean of both ratios and d that of both
    denominators: a sample that both models predict alike has no part in it. Swapping them
    to others is the usual randomisation test of precision and F1 (Yeh 2000).
    """
    (above, below), (other_above, other_below) = (side.ratio(metric) for side in pair)
    sums = [float(each.sum()) for each in (above, below, other_above, other_below)]
    mean_ratio = (sums[0] / (sums[1] or 1) + sums[2] / (sums[3] or 1)) / 2
    mean_below = (sums[1] + sums[3]) / 2 or 1
    parts = (above - other_above - mean_ratio * (below - other_below)) / mean_below
    return np.asarray(parts)


def _of_areas(ours: ClassPredictions, theirs: ClassPredictions) -> Mapping[str, Floats]:
    sides = []
    for predictions in (ours, theirs):
        if not np.isfinite(predictions.probabilities).all():
            return {}
        each = list(_of_each_area(predictions))
        if not each:
            return {}
        sides.append(np.mean(each, axis=0))
    parts = sides[0] - sides[1]
    if ours.probabilities.shape == theirs.probabilities.shape:  # what is alike cannot be swapped
        parts[:, (ours.probabilities == theirs.probabilities).all(axis=1)] = 0
    return dict(zip(RANKED, parts, strict=True))


def _of_each_area(predictions: ClassPredictions) -> Iterator[Floats]:
    for _, belongs, scores in one_vs_rest(predictions):
        if belongs.any() and not belongs.all():
            influences = influence_on_auroc, influence_on_average_precision
            yield np.array([of(belongs, scores) for of in influences])


def _of_values(ours: ValuePredictions, theirs: ValuePredictions) -> dict[str, Contributions]:
    targets = ours.targets.astype(np.float64)
    errors = [side.predictions.astype(np.float64) - targets for side in (ours, theirs)]
    if not all(np.isfinite(each).all() for each in errors):
        return {}
    num_samples = len(targets)
    absolute = [np.abs(each).mean(axis=1) / num_samples for each in errors]
    squares = [(each**2).mean(axis=1) / num_samples for each in errors]
    gaps = squares[0] - squares[1]
    found = {"mae": absolute[0] - absolute[1]}
    roots = sum(float(np.sqrt(each.sum())) for each in squares)
    if roots > 0:
        found["rmse"] = gaps / roots  # a^2 - b^2 = (a - b)(a + b)
    variance = float(((targets - targets.mean(axis=0)) ** 2).mean())
    if variance > 0:
        found["r2"] = -gaps / variance
    return {name: Contributions(values, num_samples) for name, values in found.items()}
