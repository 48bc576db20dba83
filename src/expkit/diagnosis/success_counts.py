"""The correct predictions of a run, counted, beside those of always predicting one class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from expkit.diagnosis.constant_predictor import follows_predictions
from expkit.diagnosis.curves import last_curves
from expkit.diagnosis.evidence import Evidence
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions


@dataclass(frozen=True)
class Outcome:
    """The number of right predictions on one split, and of all."""

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
    """The recorded predictions, else the best epoch of the last training that has ended."""
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
    curves, split = last_curves(evidence, is_over=True), evidence.monitored
    if curves is None:
        return None
    counts = evidence.metadata_of(curves.stage).splits[split].class_counts
    accuracies = curves.column(f"{split}/accuracy")
    if counts is None or not accuracies or not curves.monitored:
        return None
    right, best = round(accuracies[curves.best] * sum(counts)), curves.records[curves.best]
    return Outcome(split, right, sum(counts), max(counts), curves.stage, best["epoch"])


def is_balanced(evidence: Evidence) -> bool:
    """Tell whether training weighted each class alike, at the cost of the largest."""
    stages = (evidence.stage_config(name) for name in evidence.trainings)
    losses = [evidence.of_stage(name).config["loss"] for name in evidence.trainings]
    is_weighted = any(
        loss.get("class_weights") is not None or follows_predictions(loss) for loss in losses
    )
    return is_weighted or any(stage.get("balanced_sampling") for stage in stages)
