"""Temperature scaling (Guo et al. 2017): one number that makes a softmax as sure as it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from expkit.metrics.calibration import NUM_BINS, bins_of, calibration_error
from expkit.metrics.classification import losses_of
from expkit.metrics.intervals import Interval, percentiles, resample
from expkit.metrics.predictions import ClassPredictions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LOWEST, HIGHEST = 0.05, 20.0  # temperatures: beyond them the likelihood has no maximum


@dataclass(frozen=True)
class Change:
    """A figure without the temperature and with it, on samples that did not fit it."""

    before: float
    after: float
    interval: Interval | None  # of after - before; None where no resample changes it

    @property
    def lowers(self) -> bool:
        """Tell whether the figure falls, and that is no accident of these samples."""
        return self.interval is not None and self.interval[1] < 0


def _logs(probabilities_NC: npt.NDArray[np.floating]) -> Floats:
    """Logits but for a constant of each sample; a probability of 0 counts as 1e-38."""
    import numpy as np

    smallest = float(np.finfo(np.float32).tiny)  # the denormal ones may be flushed to 0
    return np.log(np.maximum(probabilities_NC.astype(np.float64), smallest))


def _softmax(logits_NC: Floats) -> Floats:
    from scipy.special import softmax

    probabilities: Floats = softmax(logits_NC, axis=1)
    return probabilities


def at_temperature(predictions: ClassPredictions, temperature: float) -> ClassPredictions:
    """Divide the logits by a temperature; which class comes first, second, ... stays."""
    import numpy as np

    if temperature == 1:
        return predictions
    probabilities = _softmax(_logs(predictions.probabilities) / temperature).astype(np.float32)
    first = probabilities[np.arange(len(probabilities)), predictions.probabilities.argmax(axis=1)]
    assert not (first < probabilities.max(axis=1)).any(), "a temperature changes no ranking"
    return replace(predictions, probabilities=probabilities)


def fit_temperature(predictions: ClassPredictions) -> float:
    """Return the temperature of the lowest log loss; one of the ends where it lies beyond.

    In 1 / temperature the log loss is convex, so that the root of its slope is its minimum.
    """
    import numpy as np
    from scipy.optimize import brentq

    logs = _logs(predictions.probabilities)
    right = logs[np.arange(len(logs)), predictions.targets].mean()

    def slope(inverse: float) -> float:
        return float((_softmax(inverse * logs) * logs).sum(axis=1).mean() - right)

    if slope(1 / LOWEST) <= 0:
        return LOWEST
    if slope(1 / HIGHEST) >= 0:
        return HIGHEST
    return 1 / float(brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-10))


def halves_by_class(targets: Ints, seed: int) -> tuple[Ints, Ints]:
    """Two halves of the samples with as many of each class, the same for the same seed."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    numbers = np.arange(len(targets))
    first, second = train_test_split(numbers, test_size=0.5, stratify=targets, random_state=seed)
    return np.sort(first), np.sort(second)


def select(predictions: ClassPredictions, chosen: Ints) -> ClassPredictions:
    """Some of the samples, by their numbers."""
    return replace(
        predictions,
        samples=[predictions.samples[number] for number in chosen.tolist()],
        targets=predictions.targets[chosen],
        predictions=predictions.predictions[chosen],
        ranks=predictions.ranks[chosen],
        probabilities=predictions.probabilities[chosen],
    )


def changes_of(before: ClassPredictions, after: ClassPredictions) -> Mapping[str, Change]:
    """Return log loss and calibration error before and after, with intervals of the difference.

    Both are taken of the same resamples. A resample is less calibrated than the whole, the more so
    the better the whole is: the interval sees rather too little of a gain in ECE than too much.
    """
    import numpy as np

    num_samples = len(before.targets)
    losses = losses_of(after) - losses_of(before)
    gaps = [_gaps_by_bin(each) for each in (before, after)]

    def statistic(weights_BN: Floats) -> dict[str, Floats]:
        errors = [np.abs(weights_BN @ gaps_NK).sum(axis=1) / num_samples for gaps_NK in gaps]
        return {
            "log_loss": weights_BN @ losses / num_samples,
            "calibration_error": errors[1] - errors[0],
        }

    intervals = {
        name: percentiles(values) for name, values in resample(num_samples, statistic).items()
    }
    pairs = {
        "log_loss": (float(losses_of(before).mean()), float(losses_of(after).mean())),
        "calibration_error": (calibration_error(before), calibration_error(after)),
    }
    return {
        name: Change(first, second, intervals.get(name)) for name, (first, second) in pairs.items()
    }


def _gaps_by_bin(predictions: ClassPredictions) -> Floats:
    """Right minus confidence of each sample, in the column of its bin: N x bins."""
    import numpy as np

    confidences = predictions.probabilities.max(axis=1).astype(np.float64)
    gaps = np.zeros((len(confidences), NUM_BINS))
    rows = np.arange(len(confidences))
    gaps[rows, bins_of(confidences)] = (predictions.ranks == 0) - confidences
    return gaps
