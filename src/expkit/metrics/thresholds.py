"""The cut-offs of a class on some samples: where they must lie, and what they do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from expkit.metrics.intervals import Z, wilson
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.task_types import MAYBE
from expkit.metrics.threshold_verdicts import Verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Half:
    """Some samples of a split: who belongs to the class, and how likely the model held that."""

    belongs: Bools
    scores: Floats


def split_halves(predictions: ClassPredictions, class_name: str, seed: int) -> tuple[Half, Half]:
    """Two halves with as many samples of the class, the same for the same seed."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    number = list(predictions.class_names).index(class_name)
    belongs = predictions.targets == number
    scores = predictions.probabilities[:, number].astype(np.float64)
    halves = train_test_split(
        np.arange(len(belongs)), test_size=0.5, stratify=belongs, random_state=seed
    )
    first, second = (Half(belongs[half], scores[half]) for half in map(np.sort, halves))
    return first, second


def curve_of(half: Half) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and cut-off for each probability that occurs, the lowest first."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, cuts = precision_recall_curve(half.belongs, half.scores)
    return precision[:-1], recall[:-1], cuts


def _between(cuts: Floats, number: int) -> float:
    """Halfway to the next lower probability, so that rounding one does not cross the cut-off."""
    below = cuts[number - 1] if number > 0 else cuts[0]
    return float((cuts[number] + below) / 2)


def choose_low(half: Half, recall: float) -> float | None:
    """None where only calling every sample the class would keep the recall."""
    import numpy as np

    _, recalls, cuts = curve_of(half)
    kept = np.flatnonzero(recalls >= recall)
    return None if kept[-1] == 0 else _between(cuts, int(kept[-1]))


def choose_high(half: Half, precision: float) -> float | None:
    """None where no cut-off has the precision."""
    import numpy as np

    precisions, recalls, cuts = curve_of(half)
    good = np.flatnonzero((precisions >= precision) & (recalls > 0))
    return None if len(good) == 0 else _between(cuts, int(good[0]))


def describe(half: Half, low: float, high: float | None) -> dict[str, Any]:
    """Describe the decisions of the cut-offs on these samples, as fractions with intervals."""
    import numpy as np

    is_other = half.scores < low
    everything = np.ones_like(is_other)
    is_class = half.scores >= high if high is not None else ~everything
    fractions = {
        "recall": (~is_other & half.belongs, half.belongs),
        MAYBE: (~is_other & ~is_class, everything),
        "wrong_class": (is_class & ~half.belongs, is_class),
        "wrong_other": (is_other & half.belongs, is_other),
    }
    return {
        "num_samples": len(half.scores),
        **{
            name: _fraction(int(some.sum()), int(all_.sum()))
            for name, (some, all_) in fractions.items()
        },
    }


def judge_fraction(count: int, total: int, bound: float) -> Verdict:
    """Judge whether a fraction of fresh samples confirms a bound, by its 95 % interval."""
    ends = wilson(count, total)
    if ends is None:
        return "not confirmed"  # a precision of no predictions at all
    if total >= needed_samples(bound):
        return "confirmed" if count / total >= bound else "not confirmed"
    return "not confirmed" if ends[1] < bound else "too few samples"


def needed_samples(bound: float) -> float:
    """The fewest samples that, all of them right, have a 95 % interval above a bound.

    Its lower end is then n / (n + z^2); no number of samples proves a whole.
    """
    return math.inf if bound >= 1 else math.floor(Z**2 * bound / (1 - bound)) + 1


def _fraction(count: int, total: int) -> dict[str, Any]:
    interval = wilson(count, total)
    return {
        "count": count,
        "total": total,
        "fraction": count / total if total else None,
        "interval": None if interval is None else list(interval),
    }
