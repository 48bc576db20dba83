"""Ranking metrics, AUROC and average precision, which need no cut-off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expkit.metrics.names import MAX_RANKED_CLASSES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import ClassPredictions

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]


def one_vs_rest(predictions: ClassPredictions) -> Iterator[tuple[int, Bools, Floats]]:
    """Each class with who belongs to it and how likely the model held that.

    Of two classes only the second, as the first is its mirror image.
    """
    import numpy as np

    num_classes = len(predictions.class_names)
    for number in range(1 if num_classes == 2 else 0, num_classes):
        belongs = predictions.targets == number
        yield number, belongs, predictions.probabilities[:, number].astype(np.float64)


def rank_metrics(predictions: ClassPredictions) -> dict[str, float]:
    """By scikit-learn; nan where a class has no samples or all, as no pair can be ordered then."""
    import numpy as np

    if len(predictions.class_names) > MAX_RANKED_CLASSES:
        return {}
    if not np.isfinite(predictions.probabilities).all():
        return {"auroc": math.nan, "average_precision": math.nan}
    from sklearn.metrics import average_precision_score, roc_auc_score

    areas, precisions = [], []
    for _, belongs, scores in one_vs_rest(predictions):
        if belongs.all() or not belongs.any():
            continue
        areas.append(roc_auc_score(belongs, scores))
        precisions.append(average_precision_score(belongs, scores))
    return {
        "auroc": float(np.mean(areas)) if areas else math.nan,
        "average_precision": float(np.mean(precisions)) if precisions else math.nan,
    }


def influence_on_auroc(belongs: Bools, scores: Floats) -> Floats:
    """Derivative of AUROC by each sample's weight: DeLong, DeLong and Clarke-Pearson 1988."""
    import numpy as np
    from scipy.stats import rankdata

    num_others = np.where(belongs, (~belongs).sum(), belongs.sum())
    num_below = rankdata(scores)  # of the other side, a tie counting half
    for side in (belongs, ~belongs):
        num_below[side] -= rankdata(scores[side])
    placement = np.where(belongs, num_below, num_others - num_below) / num_others
    influence: Floats = (placement - placement[belongs].mean()) / (len(belongs) - num_others)
    return influence


def influence_on_average_precision(belongs: Bools, scores: Floats) -> Floats:
    """Derivative of average precision by each sample's weight.

    A sample counts with its own precision where it belongs to the class, and changes that of
    every sample of the class that is scored no higher.
    """
    import numpy as np
    from scipy.stats import rankdata

    num_above = rankdata(-scores, method="max")  # scored as high or higher, itself included
    hits_above = np.zeros(len(scores))
    hits_above[belongs] = rankdata(-scores[belongs], method="max")
    precision = hits_above / num_above
    order = np.argsort(scores, kind="stable")
    last_not_above = np.searchsorted(scores[order], scores, side="right") - 1

    def sum_not_above(values: Floats) -> Floats:
        sums: Floats = np.cumsum(np.where(belongs, values, 0)[order])[last_not_above]
        return sums

    own = precision - precision[belongs].mean() + sum_not_above(1 / num_above)
    gains = np.where(belongs, own, 0) - sum_not_above(precision / num_above)
    influence: Floats = gains / belongs.sum()
    return influence


@dataclass(frozen=True)
class Ranker:
    """Both areas of one class against the rest under many weights of the samples at once."""

    order: npt.NDArray[np.int64]  # the most probable first
    belongs: Bools  # in that order
    ends: npt.NDArray[np.int64]  # of the runs of equal probability

    @classmethod
    def of(cls, belongs: Bools, scores: Floats) -> Ranker:
        import numpy as np

        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
        return cls(order, belongs[order], ends)

    def areas(self, weights_BN: Floats) -> tuple[Floats, Floats]:
        """AUROC and average precision, each B; nan where a resample lacks one side."""
        import numpy as np

        weights = weights_BN[:, self.order]
        hits = np.cumsum(weights * self.belongs, axis=1, dtype=np.float64)[:, self.ends]
        predicted = np.cumsum(weights, axis=1, dtype=np.float64)[:, self.ends]
        new_hits = np.diff(hits, axis=1, prepend=0)
        misses = predicted - hits
        below = misses[:, -1:] - misses  # others ranked lower; a tie counts half
        new_misses = np.diff(misses, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            pairs = (new_hits * (below + new_misses / 2)).sum(1)
            auroc = pairs / (hits[:, -1] * misses[:, -1])
            precision = np.where(predicted > 0, hits / predicted, 0)
            average_precision = (new_hits * precision).sum(1) / hits[:, -1]
        return auroc, average_precision
