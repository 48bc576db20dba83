"""Models that predicted the same samples: how often they differ, and whether their errors do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from expkit.metrics.predictions import ClassPredictions, ValuePredictions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import Predictions

    Floats = npt.NDArray[np.float64]


def main_metric(predictions: Predictions) -> str:
    """The metric by which models of one task are ranked: accuracy, or the error of numbers."""
    return "accuracy" if isinstance(predictions, ClassPredictions) else "rmse"


def main_figure(predictions: Predictions) -> float:
    """The value of that metric, without all the others."""
    import numpy as np

    if isinstance(predictions, ClassPredictions):
        return float(np.mean(predictions.ranks == 0))
    return float(np.sqrt(np.mean(_errors(predictions) ** 2)))


def find_best(members: Sequence[Predictions]) -> int:
    """The place of the member with the best figure, the first of equals."""
    figures = [main_figure(each) for each in members]
    falls = main_metric(members[0]) == "rmse"
    return figures.index(min(figures) if falls else max(figures))


@dataclass(frozen=True)
class Disagreement:
    """Statistics of how members of an ensemble differ on the samples of a split."""

    num_samples: int
    # Mean over pairs of the fraction of samples that get another class; of numbers, the root mean
    # square of a member's distance from the mean of all.
    between_members: float
    # Mean over pairs; None where none has errors that vary.
    error_correlation: float | None
    # Of classes alone: samples that at least one has right, and that none has.
    some_right: int | None = None
    # Samples that the best member has wrong, and of them those that another has right.
    best_wrong: int | None = None
    rescuable: int | None = None

    @classmethod
    def of(cls, members: Sequence[Predictions], best: int) -> Disagreement:
        """Measure members that predicted the same samples in the same order."""
        classes = [each for each in members if isinstance(each, ClassPredictions)]
        if classes:
            return _of_classes(classes, best)
        return _of_values([each for each in members if isinstance(each, ValuePredictions)])


def _of_classes(members: Sequence[ClassPredictions], best: int) -> Disagreement:
    import numpy as np

    predicted_MN = np.array([each.predictions for each in members])
    right_MN = np.array([each.ranks == 0 for each in members])
    differing = [float((a != b).mean()) for a, b in combinations(predicted_MN, 2)]
    some_right = right_MN.any(axis=0)
    return Disagreement(
        num_samples=predicted_MN.shape[1],
        between_members=float(np.mean(differing)),
        error_correlation=mean_correlation((~right_MN).astype(np.float64)),
        some_right=int(some_right.sum()),
        best_wrong=int((~right_MN[best]).sum()),
        rescuable=int((some_right & ~right_MN[best]).sum()),
    )


def _of_values(members: Sequence[ValuePredictions]) -> Disagreement:
    import numpy as np

    errors_MNT = np.array([_errors(each) for each in members])
    num_members, num_samples = errors_MNT.shape[:2]
    return Disagreement(
        num_samples=num_samples,
        # errors of members to the same targets differ as the predictions do
        between_members=float(np.sqrt(errors_MNT.var(axis=0).mean())),
        error_correlation=mean_correlation(errors_MNT.reshape(num_members, -1)),
    )


def _errors(predictions: ValuePredictions) -> Floats:
    import numpy as np

    return predictions.predictions.astype(np.float64) - predictions.targets.astype(np.float64)


def mean_correlation(errors_MN: Floats) -> float | None:
    """The mean over pairs of rows of their correlation; None where no pair varies."""
    import numpy as np

    varying = errors_MN[errors_MN.std(axis=1) > 0]
    if len(varying) < 2:
        return None
    return float(np.mean([np.corrcoef(pair)[0, 1] for pair in combinations(varying, 2)]))
