"""What a run came to as a count of correct predictions, and what knowing nothing would come to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import best_index, column, is_loss, monitor_of
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions


@dataclass(frozen=True)
class Outcome:
    """So many predictions right of so many, on one split."""

    split: str
    right: int
    count: int
    largest: int  # samples of the split's largest class
    stage: str = ""
    epoch: int | None = None  # None: of recorded predictions

    @property
    def accuracy(self) -> float:
        return self.right / self.count

    @property
    def majority(self) -> float:
        return self.largest / self.count

    @cached_property
    def interval(self) -> tuple[float, float]:
        found = wilson(self.right, self.count)
        assert found is not None, "an outcome has samples"
        return found


def outcome_of(evidence: Evidence) -> Outcome | None:
    """Of the recorded predictions, else of the best epoch of the last training that has ended."""
    predictions = predictions_of(evidence)
    if predictions is None:
        return _from_history(evidence)
    import numpy as np

    return Outcome(
        split=predictions.split,
        right=int((predictions.ranks == 0).sum()),
        count=len(predictions.targets),
        largest=int(np.bincount(predictions.targets).max()),
    )


def predictions_of(evidence: Evidence) -> ClassPredictions | None:
    """The recorded predictions that the verdict is measured on, where they are classes."""
    predictions = evidence.predictions.get(evidence.metadata.judged_split)
    return (
        predictions
        if isinstance(predictions, ClassPredictions) and len(predictions.targets)
        else None
    )


def _from_history(evidence: Evidence) -> Outcome | None:
    ended = [name for name in evidence.trainings if evidence.result(name) is not None]
    split = evidence.monitored
    counts = evidence.metadata_of(ended[-1]).splits[split].class_counts if ended else None
    if counts is None:
        return None
    records = evidence.epochs(ended[-1])
    monitor = monitor_of(evidence, ended[-1])
    accuracies, figures = column(records, f"{split}/accuracy"), column(records, monitor)
    if not accuracies or not figures:
        return None
    best = best_index(figures, falls=is_loss(monitor))
    num_samples = sum(counts)
    right = round(accuracies[best] * num_samples)
    return Outcome(split, right, num_samples, max(counts), ended[-1], records[best]["epoch"])


def is_balanced(evidence: Evidence) -> bool:
    """Whether the training was told to care for each class alike, at the cost of the largest."""
    stages = (evidence.stage_config(name) for name in evidence.trainings)
    weights = evidence.config["loss"].get("class_weights")
    return weights is not None or any(stage.get("balanced_sampling") for stage in stages)
