"""The sure predictions of a model that may say maybe: how many, and how often they are right."""

from __future__ import annotations

from dataclasses import dataclass

from expkit.metrics.intervals import Interval, wilson
from expkit.metrics.predictions import ClassPredictions, Predictions


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
