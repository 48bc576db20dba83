"""Calibration: is a model that is 90 % confident right in 90 of 100?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from expkit.metrics.predictions import ClassPredictions

    Floats = npt.NDArray[np.float64]

NUM_BINS = 15  # equal widths of the top probability, as Guo et al. 2017 (arXiv:1706.04599)


@dataclass(frozen=True)
class Calibration:
    """Each of shape NUM_BINS; an empty bin has the sums 0."""

    counts: Floats
    confidence_sums: Floats
    right_sums: Floats

    @classmethod
    def of(cls, predictions: ClassPredictions) -> Calibration | None:
        """None where a probability is not a number."""
        import numpy as np

        confidences = predictions.probabilities.max(axis=1).astype(np.float64)
        if not np.isfinite(confidences).all():
            return None
        bins = bins_of(confidences)
        sums = (
            np.bincount(bins, weights=values, minlength=NUM_BINS)
            for values in (None, confidences, (predictions.ranks == 0).astype(np.float64))
        )
        return cls(*(values.astype(np.float64) for values in sums))

    @property
    def error(self) -> float:
        """ECE: |accuracy - confidence| of each bin, weighted by its samples."""
        return float(abs(self.right_sums - self.confidence_sums).sum() / self.counts.sum())


def bins_of(confidences: Floats) -> npt.NDArray[np.int64]:
    """Number the bins (0, 1/15], (1/15, 2/15] ...: a certainty of 1 belongs to the last one."""
    import numpy as np

    numbers = np.ceil(confidences * NUM_BINS).astype(np.int64) - 1
    return np.clip(numbers, 0, NUM_BINS - 1)


def calibration_error(predictions: ClassPredictions) -> float:
    calibration = Calibration.of(predictions)
    return math.nan if calibration is None else calibration.error
