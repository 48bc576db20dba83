"""Class weights given by hand, beside the samples that they weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expkit.diagnosis.constant_predictor import class_fractions
from expkit.diagnosis.evidence import Evidence


@dataclass(frozen=True)
class WeightedClasses:
    """The fraction of the loss that each class makes by its weight, beside that of the samples.

    Balanced weights give each of C classes 1 / C of the loss; a rare class of a hundredth that is
    weighted fiftyfold has a third.
    """

    names: Sequence[str]
    weights: Sequence[float]
    of_samples: Sequence[float]
    of_loss: Sequence[float]

    @property
    def top(self) -> int:
        """The class that makes most of the loss."""
        return max(range(len(self.of_loss)), key=self.of_loss.__getitem__)

    def muted(self, fraction: float) -> list[str]:
        """The classes with less of the loss than this fraction of what their samples would have."""
        pairs = zip(self.names, self.of_samples, self.of_loss, strict=True)
        return [name for name, plain, loss in pairs if plain > 0 and loss < fraction * plain]


def weighted_classes(evidence: Evidence) -> WeightedClasses | None:
    """The classes of the training samples under weights given by hand; None without these."""
    counts = evidence.metadata.splits["train"].class_counts
    weights = evidence.config["loss"].get("class_weights")
    if counts is None or not isinstance(weights, list | tuple) or len(weights) != len(counts):
        return None
    of_samples = class_fractions(counts)
    of_loss = class_fractions(counts, [float(weight) for weight in weights])
    if len(counts) < 2 or not of_loss or not of_samples:
        return None
    names = evidence.metadata.class_names or tuple(map(str, range(len(counts))))
    return WeightedClasses(names, weights, of_samples, of_loss)
