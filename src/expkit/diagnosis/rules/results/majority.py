"""A result beside that of a net which never sees the image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import last_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import best_index
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.success_counts import Outcome, is_balanced, outcome_of, predictions_of
from expkit.metrics.predictions import ClassPredictions, ValuePredictions


@dataclass(frozen=True, kw_only=True)
class NotBetterThanMajority(Rule):
    """Always predicting the largest class, or the mean, would have done as well."""

    max_reach: Annotated[float, Gt(0), Le(1)] = 0.1
    min_epochs: Annotated[int, Ge(1)] = 5
    min_fall: Annotated[float, Gt(0), Le(1)] = 0.02
    min_values: Annotated[int, Ge(1)] = 10

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        predictions = evidence.predictions.get(evidence.metadata.judged_split)
        if isinstance(predictions, ValuePredictions):
            yield from self._beside_the_mean(predictions)
            return
        outcome = outcome_of(evidence)
        if outcome is not None and self._is_no_better(outcome):
            yield self._beside_the_largest_class(evidence, outcome)

    def _is_no_better(self, outcome: Outcome) -> bool:
        if outcome.right > outcome.largest + 4 * math.sqrt(outcome.largest):
            return False  # far above, as any healthy run: scipy need not be asked
        low, high = outcome.interval
        return low <= outcome.majority and high <= outcome.majority + self.max_reach

    def _beside_the_largest_class(self, evidence: Evidence, outcome: Outcome) -> Finding:
        balanced = balanced_accuracy(predictions_of(evidence))
        num_epochs = sum(len(evidence.epochs(name)) for name in evidence.trainings)
        # a net that cares for the small classes as asked pays with the largest one
        is_intended = is_balanced(evidence) and (balanced is None or balanced.is_above_chance)
        cut_short = "cut_short" if self._still_learns(evidence) else "learnt_nothing"
        is_below = outcome.accuracy < outcome.majority
        return self.finding(
            "weighted_alike" if is_intended else cut_short,
            {
                "accuracy": outcome.accuracy,
                "right": outcome.right,
                "samples": outcome.count,
                "largest class": _largest_class(evidence, outcome),
                "its fraction": outcome.majority,
                "95 % interval": list(outcome.interval),
                **({} if balanced is None else {"balanced accuracy": balanced.value}),
            },
            severity="info" if num_epochs < self.min_epochs else None,
            parts={"below": is_below, "no_better": not is_below},
            stage=outcome.stage,
            epoch=outcome.epoch,
            split=outcome.split,
        )

    def _still_learns(self, evidence: Evidence) -> bool:
        """Tell whether training was cut short: both losses fell to the end by more than noise.

        Labels that say nothing of the images are learnt by heart, too: so held-out loss must fall.
        """
        curves = last_curves(evidence)
        if curves is None:
            return False
        names = dict.fromkeys(["train/loss", f"{curves.split}/loss"])
        return all(
            len(losses) >= 3
            and best_index(losses, falls=True) >= len(losses) - 2
            and losses[0] - losses[-1] > self.min_fall * abs(losses[0])
            for losses in (curves.column(name)[-6:] for name in names)
        )

    def _beside_the_mean(self, predictions: ValuePredictions) -> Iterable[Finding]:
        import numpy as np

        targets = predictions.targets.astype(np.float64)
        error = np.sqrt(((predictions.predictions - targets) ** 2).mean())
        std = np.sqrt(((targets - targets.mean(0)) ** 2).mean())
        if len(targets) >= self.min_values and not error < std:
            yield self.finding(
                "mean",
                {"rmse": error, "of the mean": std, "samples": len(targets)},
                split=predictions.split,
            )


@dataclass(frozen=True)
class BalancedAccuracy:
    """The mean over classes of the fraction of their samples that is right, beside chance."""

    value: float
    error: float  # standard
    chance: float

    @property
    def is_above_chance(self) -> bool:
        return self.value - self.chance > 2 * self.error


def balanced_accuracy(predictions: ClassPredictions | None) -> BalancedAccuracy | None:
    """The balanced accuracy of recorded predictions, with the error of a mean of recalls."""
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
