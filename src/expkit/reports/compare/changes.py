"""Sample by sample: what one model mends, and what it breaks, of another's predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.records.csv_cells import csv_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

Kind = Literal["fixed", "broken", "both wrong"]
KINDS: tuple[Kind, ...] = ("fixed", "broken", "both wrong")
HEADER = (
    *("run", "baseline", "sample", "target", "baseline_prediction", "baseline_confidence"),
    *("prediction", "confidence", "kind"),
)


@dataclass(frozen=True)
class Changes:
    """Two models' predictions for the same samples."""

    ours: ClassPredictions
    theirs: ClassPredictions

    def where(self, kind: Kind) -> Ints:
        """The places of these samples in the split."""
        import numpy as np

        ours, theirs = self.ours.ranks == 0, self.theirs.ranks == 0
        masks = {"fixed": ours & ~theirs, "broken": theirs & ~ours, "both wrong": ~ours & ~theirs}
        return np.flatnonzero(masks[kind])

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A sample a row, by kind, as `HEADER` has it from `sample` on."""
        for kind in KINDS:
            for place in self.where(kind).tolist():
                yield (
                    self.ours.samples[place],
                    self.ours.class_names[self.ours.targets[place]],
                    *prediction_of(self.theirs, place),
                    *prediction_of(self.ours, place),
                    kind,
                )


def changes_between(ours: Predictions | None, theirs: Predictions | None) -> Changes | None:
    """None where the predictions are numbers, or are to other samples."""
    if not isinstance(ours, ClassPredictions) or not isinstance(theirs, ClassPredictions):
        return None
    return Changes(ours, theirs) if are_same_samples(ours, theirs) else None


def prediction_of(predictions: ClassPredictions, place: int) -> tuple[str, str]:
    """The class that was predicted, and the probability that it was given."""
    index = int(predictions.predictions[place])
    confidence = float(predictions.probabilities[place, index])
    return predictions.class_names[index], f"{confidence:.6g}"


def changes_table(told: Iterable[tuple[str, str, Changes]]) -> str:
    """changes.csv of pairs: the run's name, the baseline's, and what changed."""
    rows = ((run, baseline, *row) for run, baseline, changes in told for row in changes.rows())
    return csv_text(chain([HEADER], rows))


def are_same_samples(ours: Predictions, theirs: Predictions) -> bool:
    """The same names in the same order, with the same correct predictions."""
    import numpy as np

    if list(ours.samples) != list(theirs.samples):
        return False
    if isinstance(ours, ClassPredictions) and isinstance(theirs, ClassPredictions):
        return _true_names(ours) == _true_names(theirs)
    return bool(np.array_equal(ours.targets, theirs.targets))


def _true_names(predictions: ClassPredictions) -> list[str]:
    """By name: a class that was added changes no other's."""
    return [predictions.class_names[target] for target in predictions.targets.tolist()]
