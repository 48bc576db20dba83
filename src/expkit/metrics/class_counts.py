"""Counts of true positives, predictions and targets by class, for one or many resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import ClassPredictions

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassCounts:
    """Each ... x classes; a figure without anything to divide by is nan."""

    right: Floats
    predicted: Floats
    true: Floats

    @property
    def precision(self) -> Floats:
        return _divide(self.right, self.predicted)

    @property
    def recall(self) -> Floats:
        return _divide(self.right, self.true)

    @property
    def f1(self) -> Floats:
        return _divide(2 * self.right, self.predicted + self.true)

    def macro(self) -> dict[str, Floats]:
        """Means over the classes that have samples.

        One that was never predicted has no precision, and counts as 0: else a net that predicts
        one class alone would be called precise.
        """
        import numpy as np

        occurs = self.true > 0
        precision = np.nan_to_num(self.precision)
        num_classes = occurs.sum(-1)
        means = {
            name: np.where(occurs, values, 0).sum(-1) / num_classes
            for name, values in (("precision", precision), ("recall", self.recall), ("f1", self.f1))
        }
        return {
            "balanced_accuracy": means["recall"],
            **{f"macro_{name}": values for name, values in means.items()},
        }


def _divide(above: Floats, below: Floats) -> Floats:
    import numpy as np

    fractions: Floats = np.full(above.shape, np.nan)
    np.divide(above, below, out=fractions, where=below > 0)
    return fractions


@dataclass(frozen=True)
class ClassCounter:
    """Counts the same predictions under any weights of their samples."""

    num_classes: int
    targets: Ints
    predicted_classes: (
        Ints  # num_classes where the prediction is of no class: a tie, or not a number
    )

    @classmethod
    def of(cls, predictions: ClassPredictions) -> ClassCounter:
        """By rank: argmax over ties or nan may name the right class by accident."""
        import numpy as np

        num_classes = len(predictions.class_names)
        by_accident = (predictions.predictions == predictions.targets) & (predictions.ranks != 0)
        predicted_classes = np.where(by_accident, num_classes, predictions.predictions)
        return cls(num_classes, predictions.targets, predicted_classes)

    def count(self, weights_BN: Floats | None = None) -> ClassCounts:
        """B x classes, or classes where every sample counts once."""
        import numpy as np

        weights = np.ones((1, len(self.targets))) if weights_BN is None else weights_BN
        is_right = self.predicted_classes == self.targets
        right = np.where(is_right, self.targets, self.num_classes)
        counts = [
            _sum_by(weights, groups, self.num_classes)
            for groups in (right, self.predicted_classes, self.targets)
        ]
        return ClassCounts(*(count[0] if weights_BN is None else count for count in counts))


def _sum_by(weights_BN: Floats, groups: Ints, num_groups: int) -> Floats:
    """The weights of each group summed; groups from num_groups on are left out."""
    import numpy as np

    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    sums = np.zeros((len(weights_BN), num_groups + 1))
    sums[:, present] = np.add.reduceat(weights_BN[:, order], starts, axis=1)
    return sums[:, :num_groups]
