"""Baselines: the figures of models that know nothing, beside every figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from expkit.metrics.classification import measure
from expkit.metrics.names import Measure
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.task_types import TOP

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import Predictions, ValuePredictions

Levels = Mapping[str, float]


def chance_levels(predictions: Predictions) -> Levels:
    """Return the figures of random guessing; a regression has none."""
    import numpy as np

    if not isinstance(predictions, ClassPredictions):
        return {}
    fractions = _class_fractions(predictions)
    num_classes, occurs = len(fractions), fractions > 0
    even = 1 / num_classes
    return {
        "accuracy": even,
        "top5_accuracy": min(1.0, TOP * even),
        "balanced_accuracy": even,
        "macro_precision": float(fractions[occurs].mean()),
        "macro_recall": even,
        "macro_f1": float((2 * fractions * even / (fractions + even))[occurs].mean()),
        "auroc": 0.5,
        "average_precision": float(
            fractions[1] if num_classes == 2 else np.mean(fractions[occurs])
        ),
        "log_loss": math.log(num_classes),
    }


def constant_levels(predictions: Predictions) -> Levels:
    """Return the figures of always predicting the largest class, or the mean of the targets."""
    if not isinstance(predictions, ClassPredictions):
        return _mean_levels(predictions)
    fractions = _class_fractions(predictions)
    largest, num_occurring = float(fractions.max()), int((fractions > 0).sum())
    return {
        "accuracy": largest,
        "top5_accuracy": float(sum(sorted(fractions.tolist())[-TOP:])),
        "balanced_accuracy": 1 / num_occurring,
        "macro_precision": largest / num_occurring,
        "macro_recall": 1 / num_occurring,
        "macro_f1": 2 * largest / (1 + largest) / num_occurring,
        "auroc": 0.5,
    }


def levels_on_demand(name: str, num_classes: int) -> tuple[float, float] | None:
    """Return chance and always one class, of a figure that is measured where it is asked for."""
    measure = Measure.parse(name)
    if measure.metric == "max_predicted_fraction":
        return 1 / num_classes, 1.0
    if measure.metric == "recall" and measure.class_name is not None:
        return 1 / num_classes, 0.0  # of the worst class, which is never predicted
    return None


def _class_fractions(predictions: ClassPredictions) -> npt.NDArray[np.float64]:
    import numpy as np

    counts = np.bincount(predictions.targets, minlength=len(predictions.class_names))
    fractions: npt.NDArray[np.float64] = counts / counts.sum()
    return fractions


def _mean_levels(predictions: ValuePredictions) -> Levels:
    import numpy as np

    means = np.broadcast_to(predictions.targets.mean(axis=0), predictions.targets.shape)
    return {**measure(replace(predictions, predictions=means)), "r2": 0.0}
