"""A result beside that of a net which never looks at the image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import best_index, column
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.success_counts import Outcome, is_balanced, outcome_of, predictions_of
from expkit.metrics.percentages import percent
from expkit.metrics.predictions import ClassPredictions, ValuePredictions


@dataclass(frozen=True, kw_only=True)
class NotBetterThanMajority(Rule):
    """Always predicting the largest class, or the mean, would have done as well."""

    # an interval that reaches further up leaves too much open to be called no better
    max_reach: Annotated[float, Gt(0), Le(1)] = 0.1
    min_epochs: Annotated[int, Ge(1)] = 5  # of fewer, nobody expects more

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        predictions = evidence.predictions.get(evidence.metadata.judged_split)
        if isinstance(predictions, ValuePredictions):
            yield from _beside_the_mean(predictions)
            return
        outcome = outcome_of(evidence)
        if outcome is not None and self._is_no_better(outcome):
            yield self._tell(evidence, outcome)

    def _is_no_better(self, outcome: Outcome) -> bool:
        if outcome.right > outcome.largest + 4 * math.sqrt(outcome.largest):
            return False  # far above, as any healthy run: scipy need not be asked
        low, high = outcome.interval
        return low <= outcome.majority and high <= outcome.majority + self.max_reach

    def _tell(self, evidence: Evidence, outcome: Outcome) -> Finding:
        balanced = balanced_accuracy(predictions_of(evidence))
        num_epochs = sum(len(evidence.epochs(name)) for name in evidence.trainings)
        # a net that was told to care for the small classes pays with the largest one
        is_intended = is_balanced(evidence) and (balanced is None or balanced.is_above_chance)
        word = "below" if outcome.accuracy < outcome.majority else "no better than"
        name = _largest_class(evidence, outcome)
        is_unfinished = still_learns(evidence)
        return Finding(
            severity="info"
            if is_intended or is_unfinished or num_epochs < self.min_epochs
            else "warning",
            sentence=f"{percent(outcome.accuracy)} on {outcome.split} is {word} always predicting "
            f"'{name}', {percent(outcome.majority)}",
            evidence={
                "accuracy": outcome.accuracy,
                "right": outcome.right,
                "samples": outcome.count,
                "largest class": name,
                "its fraction": outcome.majority,
                "95 % interval": list(outcome.interval),
                **({} if balanced is None else {"balanced accuracy": balanced.value}),
            },
            cause="classes were weighted alike, at the cost of the largest: judge it by the "
            "balanced accuracy"
            if is_intended
            else "it was given too few epochs: the training loss was still falling"
            if is_unfinished
            else "nothing that the net has learnt about the images helps on these samples",
            command=""
            if not is_intended
            else "state a criterion on balanced_accuracy: '++criteria.balanced_accuracy=\"> 0.5\"'",
            stage=outcome.stage,
            epoch=outcome.epoch,
        )


def still_learns(evidence: Evidence) -> bool:
    """Tell whether training was cut short: its last epochs bettered both losses by more than noise.

    Labels that say nothing of the images are learnt by heart, too: so held-out loss must fall.
    """
    if not evidence.trainings:
        return False
    stage = evidence.trainings[-1]
    records = evidence.epochs(stage)
    names = dict.fromkeys(["train/loss", f"{evidence.monitored}/loss"])
    all_curves = [column(records, name)[-6:] for name in names]
    return all(
        len(losses) >= 3
        and best_index(losses, falls=True) >= len(losses) - 2
        and losses[0] - losses[-1] > 0.02 * abs(losses[0])
        for losses in all_curves
    )


@dataclass(frozen=True)
class BalancedAccuracy:
    """The mean over classes of the fraction of their samples that is right, with what chance is."""

    value: float
    error: float  # standard
    chance: float

    @property
    def is_above_chance(self) -> bool:
        return self.value - self.chance > 2 * self.error


def balanced_accuracy(predictions: ClassPredictions | None) -> BalancedAccuracy | None:
    """Of recorded predictions; the error is that of a sum of shares of each class's samples."""
    if predictions is None:
        return None
    import numpy as np

    counts = np.bincount(predictions.targets)
    right = np.bincount(predictions.targets[predictions.ranks == 0], minlength=len(counts))
    counts, right = counts[counts > 0], right[counts > 0]
    recalls = right / counts
    # half a sample of doubt keeps one class of few samples, all right, from being certain
    fractions = (right + 0.5) / (counts + 1)
    error = math.sqrt(float((fractions * (1 - fractions) / counts).sum())) / len(counts)
    return BalancedAccuracy(float(recalls.mean()), error, 1 / len(counts))


def _largest_class(evidence: Evidence, outcome: Outcome) -> str:
    import numpy as np

    predictions = predictions_of(evidence)
    if predictions is not None:
        return str(predictions.class_names[int(np.bincount(predictions.targets).argmax())])
    metadata = evidence.metadata_of(outcome.stage)
    counts = metadata.splits[outcome.split].class_counts or (0,)
    return (metadata.class_names or ("?",))[counts.index(max(counts))]


def _beside_the_mean(predictions: ValuePredictions) -> Iterable[Finding]:
    import numpy as np

    targets = predictions.targets.astype(np.float64)
    errors = np.sqrt(((predictions.predictions - targets) ** 2).mean())
    std = np.sqrt(((targets - targets.mean(0)) ** 2).mean())
    if len(targets) >= 10 and not errors < std:
        yield Finding(
            severity="warning",
            sentence=f"the error on {predictions.split}, {errors:.3g}, is not below that of always "
            f"predicting the mean, {std:.3g}",
            evidence={"rmse": errors, "of the mean": std, "samples": len(targets)},
            cause="nothing that the net has learnt about the images helps on these samples",
        )
