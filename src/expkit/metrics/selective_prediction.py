"""Predictions that a model may withhold: the sure ones of maybe, and risk over coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expkit.metrics.intervals import Interval, wilson
from expkit.metrics.predictions import ClassPredictions, Predictions

SUREST = 0.8  # the fraction of the samples whose error rate pages tell

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sure:
    """Coverage and accuracy among the sure, for one split."""

    label: str  # maybe
    num_samples: int
    num_sure: int
    num_right: int

    @classmethod
    def of(cls, predictions: Predictions, label: str) -> Sure | None:
        """None of samples that were themselves labelled so, as those that were trained on."""
        if not isinstance(predictions, ClassPredictions) or label not in predictions.class_names:
            return None
        number = list(predictions.class_names).index(label)
        if (predictions.targets == number).any():
            return None
        is_sure = predictions.predictions != number
        num_right = int((is_sure & (predictions.ranks == 0)).sum())
        return cls(label, len(is_sure), int(is_sure.sum()), num_right)

    @property
    def coverage(self) -> float:
        """The fraction of the samples that got a sure prediction."""
        return self.num_sure / self.num_samples

    @property
    def accuracy(self) -> float | None:
        """The fraction of the sure predictions that is right; None of none."""
        return self.num_right / self.num_sure if self.num_sure else None

    def to_json(self) -> dict[str, object]:
        """For summary.json, with 95 % intervals."""
        return {
            "label": self.label,
            "num_samples": self.num_samples,
            "num_sure": self.num_sure,
            "coverage": self.coverage,
            "coverage_interval": _ends(wilson(self.num_sure, self.num_samples)),
            "accuracy": self.accuracy,
            "accuracy_interval": _ends(wilson(self.num_right, self.num_sure)),
        }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


@dataclass(frozen=True)
class RiskCoverage:
    """The error rate among the samples that a model is surest of, by how many of all these are.

    Geifman and El-Yaniv (2017). Samples of one score are one step: their errors lie evenly among
    them, so that a score which is the same for all has the error rate for its area.
    """

    coverages: Floats  # of 1, 2, ... all samples, as fractions
    risks: Floats
    num_wrong: int

    @classmethod
    def by(cls, scores: Floats, is_wrong: npt.NDArray[np.bool_]) -> RiskCoverage | None:
        """The surest have the highest scores; None where there are none, or one is not finite."""
        import numpy as np

        if not len(scores) or not np.isfinite(scores).all():
            return None
        _, ties, counts = np.unique(-scores, return_inverse=True, return_counts=True)
        wrong_fractions = np.bincount(ties, weights=is_wrong) / counts
        numbers = np.arange(1, len(scores) + 1)
        risks = np.repeat(wrong_fractions, counts).cumsum() / numbers
        return cls(numbers / len(scores), risks, int(is_wrong.sum()))

    @property
    def area(self) -> float:
        """AURC: the mean risk over all coverages; 0 is perfect, the error rate knows nothing."""
        return float(self.risks.mean())

    @property
    def optimal_area(self) -> float:
        """The area of a score that puts every error behind every right prediction."""
        num_right = len(self.risks) - self.num_wrong
        return sum(k / (num_right + k) for k in range(1, self.num_wrong + 1)) / len(self.risks)

    @property
    def excess_area(self) -> float:
        """The part of the area that a better order of the same predictions would save."""
        return max(0.0, self.area - self.optimal_area)

    def risk_at(self, coverage: float) -> float:
        """Return the error rate among this fraction of the samples, the surest ones."""
        count = max(1, math.ceil(coverage * len(self.risks) - 1e-9))
        return float(self.risks[count - 1])

    def to_json(self) -> dict[str, float]:
        """For summary.json: the areas, and the error rate among the surest samples."""
        return {
            "aurc": self.area,
            "excess_aurc": self.excess_area,
            "error_of_surest": self.risk_at(SUREST),
        }


def risk_coverages(predictions: Predictions) -> Mapping[str, RiskCoverage]:
    """Return the curves by `confidence`, and by `uncertainty` of a model that predicts it."""
    if not isinstance(predictions, ClassPredictions):
        return {}
    is_wrong = predictions.ranks != 0
    scores = {"confidence": predictions.probabilities.max(axis=1)}
    if predictions.uncertainties is not None:
        scores["uncertainty"] = -predictions.uncertainties
    found = {name: RiskCoverage.by(each, is_wrong) for name, each in scores.items()}
    return {name: curve for name, curve in found.items() if curve is not None}
