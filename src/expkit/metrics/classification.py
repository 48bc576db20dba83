"""Metrics of recorded predictions; their names are those of `metrics.names`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expkit.metrics.calibration import calibration_error
from expkit.metrics.class_counts import ClassCounter
from expkit.metrics.intervals import Interval, wilson
from expkit.metrics.log_loss import log_losses
from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.ranking import rank_metrics
from expkit.metrics.selective_prediction import risk_coverages
from expkit.metrics.task_types import TOP, has_top5

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import Predictions, ValuePredictions

    Floats = npt.NDArray[np.float64]


DECISIVE_FRACTION = 0.25  # of the summed log loss, from which one sample decides the figure
MIN_SAMPLES = 20  # of fewer, each is a large part of any sum


def measure(predictions: Predictions) -> dict[str, float]:
    """Every metric of the task; a number that cannot be known is nan, which meets no criterion."""
    if isinstance(predictions, ClassPredictions):
        return _measure_classes(predictions)
    return _measure_values(predictions)


def _measure_classes(predictions: ClassPredictions) -> dict[str, float]:
    import numpy as np

    metrics = {"accuracy": float(np.mean(predictions.ranks == 0))}
    if has_top5(len(predictions.class_names)):
        metrics["top5_accuracy"] = float(np.mean(predictions.ranks < TOP))
    macro = ClassCounter.of(predictions).count().macro()
    curve = risk_coverages(predictions).get("confidence")
    return {
        **metrics,
        **{name: float(value) for name, value in macro.items()},
        **rank_metrics(predictions),
        "log_loss": float(losses_of(predictions).mean()),
        "calibration_error": calibration_error(predictions),
        "aurc": math.nan if curve is None else curve.area,
    }


def most_predicted(predictions: ClassPredictions) -> tuple[str, int]:
    """Return the class to which most predictions go, and how many."""
    counts = ClassCounter.of(predictions).count().predicted
    number = int(counts.argmax())
    return predictions.class_names[number], int(counts[number])


def losses_of(predictions: ClassPredictions) -> Floats:
    """Take the log loss of each sample."""
    return log_losses(predictions.probabilities, predictions.targets)


@dataclass(frozen=True)
class DecisiveSample:
    """The one sample that most of a split's log loss comes from."""

    sample: str
    loss: float
    fraction: float  # of the sum over all samples
    without: float  # the log loss of all others


def decisive_sample(predictions: Predictions) -> DecisiveSample | None:
    """None where no sample alone is more than a quarter of the sum, or all are few."""
    if not isinstance(predictions, ClassPredictions) or len(predictions.samples) < MIN_SAMPLES:
        return None
    losses = losses_of(predictions)
    place, total = int(losses.argmax()), float(losses.sum())
    largest = float(losses[place])
    if not total > 0 or largest <= DECISIVE_FRACTION * total:  # also where it is not a number
        return None
    without = (total - largest) / (len(losses) - 1)
    return DecisiveSample(predictions.samples[place], largest, largest / total, without)


def _measure_values(predictions: ValuePredictions) -> dict[str, float]:
    import numpy as np

    targets = predictions.targets.astype(np.float64)
    errors = predictions.predictions.astype(np.float64) - targets
    total = float(((targets - targets.mean(axis=0)) ** 2).sum())
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": math.sqrt(float((errors**2).mean())),
        # targets that do not vary leave nothing to explain
        "r2": 1 - float((errors**2).sum()) / total if total > 0 else math.nan,
    }


@dataclass(frozen=True)
class ClassFigures:
    """Precision, recall and F1 of one class; nan and None where nothing can be divided by."""

    name: str
    count: int
    precision: float
    recall: float
    f1: float
    precision_interval: Interval | None
    recall_interval: Interval | None


def measure_each_class(predictions: ClassPredictions, level: float = LEVEL) -> list[ClassFigures]:
    """Recall and precision are fractions of samples and have Wilson's interval; F1 is none."""
    counts = ClassCounter.of(predictions).count()
    columns = zip(
        predictions.class_names,
        counts.right,
        counts.predicted,
        counts.true,
        counts.precision,
        counts.recall,
        counts.f1,
        strict=True,
    )
    return [
        ClassFigures(
            name,
            int(true),
            float(precision),
            float(recall),
            float(f1),
            wilson(right, predicted, level),
            wilson(right, true, level),
        )
        for name, right, predicted, true, precision, recall, f1 in columns
    ]
