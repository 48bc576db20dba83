"""The intervals of all of a split's figures: fractions by Wilson, the rest by resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expkit.metrics.class_counts import ClassCounter
from expkit.metrics.classification import losses_of
from expkit.metrics.intervals import Interval, percentiles, resample, wilson
from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.names import MAX_RANKED_CLASSES
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.ranking import Ranker, one_vs_rest
from expkit.metrics.task_types import TOP, has_top5

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import Predictions, ValuePredictions

    Floats = npt.NDArray[np.float64]


def intervals_of(predictions: Predictions, level: float = LEVEL) -> dict[str, Interval]:
    """By metric; one that cannot be known, or not in good time, is left out.

    The calibration error has none: every resample is less calibrated than the whole.
    """
    found = {name: percentiles(each, level) for name, each in _resampled(predictions).items()}
    if isinstance(predictions, ClassPredictions):
        found |= _of_fractions(predictions, level)
    return {name: interval for name, interval in found.items() if interval is not None}


def _resampled(predictions: Predictions) -> dict[str, Floats]:
    if not isinstance(predictions, ClassPredictions):
        return _values(predictions)
    return _means(predictions) | _areas(predictions)


def _of_fractions(predictions: ClassPredictions, level: float) -> dict[str, Interval | None]:
    num_samples = len(predictions.targets)
    return {
        name: wilson(int((predictions.ranks < best).sum()), num_samples, level)
        for name, best in _bests(predictions).items()
    }


def _bests(predictions: ClassPredictions) -> dict[str, int]:
    """Among how many most probable classes the right one must be."""
    has_more = has_top5(len(predictions.class_names))
    return {"accuracy": 1, "top5_accuracy": TOP} if has_more else {"accuracy": 1}


def _means(predictions: ClassPredictions) -> dict[str, Floats]:
    num_samples = len(predictions.targets)
    counter, losses = ClassCounter.of(predictions), losses_of(predictions)

    def statistic(weights_BN: Floats) -> dict[str, Floats]:
        return {
            **counter.count(weights_BN).macro(),
            "log_loss": weights_BN @ losses / num_samples,
        }

    return resample(num_samples, statistic)


def _areas(predictions: ClassPredictions) -> dict[str, Floats]:
    import numpy as np

    if len(predictions.class_names) > MAX_RANKED_CLASSES:
        return {}
    if not np.isfinite(predictions.probabilities).all():
        return {}
    rankers = [Ranker.of(belongs, scores) for _, belongs, scores in one_vs_rest(predictions)]

    def statistic(weights_BN: Floats) -> dict[str, Floats]:
        areas_C2B = np.array([ranker.areas(weights_BN) for ranker in rankers])
        known = np.isfinite(areas_C2B)
        sums, counts = np.where(known, areas_C2B, 0).sum(0), known.sum(0)
        means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
        return {"auroc": means[0], "average_precision": means[1]}

    return resample(len(predictions.targets), statistic, cost=len(rankers))


def _values(predictions: ValuePredictions) -> dict[str, Floats]:
    import numpy as np

    targets = predictions.targets.astype(np.float64)
    errors = predictions.predictions.astype(np.float64) - targets
    if not np.isfinite(errors).all():
        return {}
    num_samples, num_targets = targets.shape
    centred = targets - targets.mean(axis=0)  # keeps the difference of squares exact

    def statistic(weights_BN: Floats) -> dict[str, Floats]:
        squares = weights_BN @ (errors**2).sum(1)
        total = weights_BN @ (centred**2).sum(1)
        total -= ((weights_BN @ centred) ** 2).sum(1) / num_samples
        explained = np.divide(squares, total, out=np.full_like(total, np.nan), where=total > 0)
        count = num_samples * num_targets
        return {
            "mae": weights_BN @ np.abs(errors).sum(1) / count,
            "rmse": np.sqrt(squares / count),
            "r2": 1 - explained,
        }

    return resample(num_samples, statistic)
