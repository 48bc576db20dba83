"""What recorded predictions come to in numbers; the names are those of `records.criteria`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from expkit.records.predictions import ClassPredictions

if TYPE_CHECKING:
    from expkit.records.predictions import Predictions, ValuePredictions


def measure(predictions: Predictions) -> dict[str, float]:
    """Every metric of the task; a number that cannot be known is nan, which meets no criterion."""
    if isinstance(predictions, ClassPredictions):
        return _measure_classes(predictions)
    return _measure_values(predictions)


def _measure_classes(predictions: ClassPredictions) -> dict[str, float]:
    import numpy as np

    # by rank, as argmax over ties or nan may name the right class by accident
    metrics = {"accuracy": float(np.mean(predictions.ranks == 0))}
    if len(predictions.class_names) > 5:
        metrics["top5_accuracy"] = float(np.mean(predictions.ranks < 5))
    samples = np.arange(len(predictions.targets))
    right = predictions.probabilities[samples, predictions.targets].astype(np.float64)
    # a float32 softmax underflows to 0, of which the logarithm would make the mean infinite
    smallest = float(np.finfo(np.float32).tiny)
    metrics["log_loss"] = float(-np.log(np.maximum(right, smallest)).mean())
    return metrics


def _measure_values(predictions: ValuePredictions) -> dict[str, float]:
    import numpy as np

    targets = predictions.targets.astype(np.float64)
    errors = predictions.predictions.astype(np.float64) - targets
    spread = float(((targets - targets.mean(axis=0)) ** 2).sum())
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": math.sqrt(float((errors**2).mean())),
        # targets that do not vary leave nothing to explain
        "r2": 1 - float((errors**2).sum()) / spread if spread > 0 else math.nan,
    }
