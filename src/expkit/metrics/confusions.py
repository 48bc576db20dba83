"""Confusions: which classes are taken for which, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import ClassPredictions

    Ints = npt.NDArray[np.int64]

MATRIX_LIMIT = 50  # classes; above, no matrix can be read


def count_confusions(predictions: ClassPredictions) -> Ints:
    """Rows are true classes, columns predicted ones."""
    import numpy as np

    num_classes = len(predictions.class_names)
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (predictions.targets, predictions.predictions), 1)
    return counts


@dataclass(frozen=True)
class Pair:
    """One class taken for another: how often, and how sure the model was on average."""

    true: int
    predicted: int
    count: int
    sureness: float


def confused_pairs(recorded: ClassPredictions) -> list[Pair]:
    """The most frequent first; among equals the most confident error."""
    import numpy as np

    wrong = np.flatnonzero(recorded.predictions != recorded.targets)
    targets, predictions = recorded.targets[wrong], recorded.predictions[wrong]
    sureness = np.nan_to_num(recorded.probabilities[wrong, predictions]).astype(np.float64)
    keys, inverse, counts = np.unique(
        targets * len(recorded.class_names) + predictions, return_inverse=True, return_counts=True
    )
    sums = np.bincount(inverse, weights=sureness, minlength=len(keys))
    means = sums / np.maximum(counts, 1)
    order = np.lexsort((-means, -counts))
    places = [divmod(int(key), len(recorded.class_names)) for key in keys]
    return [Pair(places[i][0], places[i][1], int(counts[i]), float(means[i])) for i in order]
