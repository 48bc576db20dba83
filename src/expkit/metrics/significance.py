"""Significance tests of a difference between two models, or two recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from expkit.metrics.intervals import Interval
from expkit.metrics.mcnemar import LEVEL, McNemar
from expkit.metrics.names import Measure
from expkit.metrics.p_values import holm, rising
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.metrics.sample_contributions import contributions_of
from expkit.metrics.sign_flip_test import flip_signs
from expkit.metrics.task_types import TOP

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]


class Method(Protocol):
    """One method that gives both p and the interval, so that they never contradict each other."""

    @property
    def test(self) -> str:
        """Its name."""

    @property
    def p(self) -> float:
        """Two-sided, of this comparison alone."""

    def interval(self, level: float) -> Interval | None:
        """Bounds of the difference that exclude 0 exactly where p is below the level."""

    def num_needed(self, level: float) -> int | None:
        """About so many samples or seeds show this difference in four of five trials."""


@dataclass(frozen=True)
class Difference:
    """The gain in a metric of ours over theirs, and what is known of its noise.

    `adjusted` makes p and the interval those of one of several comparisons.
    """

    value: float
    method: Method
    unit: str  # what was drawn: samples, or seeds
    count: int  # that the figure rests on
    p: float  # after Holm's correction
    level: float = LEVEL  # of the interval, by this comparison's place in Holm's order
    num_comparisons: int = 1
    sizes: tuple[int, int] | None = None  # of ours and theirs, where they are not the same draws

    @classmethod
    def of(cls, value: float, method: Method, unit: str, count: int) -> Difference:
        """Alone, as yet."""
        return cls(value, method, unit, count, method.p)

    @property
    def is_shown(self) -> bool:
        return self.p < LEVEL

    @property
    def p_alone(self) -> float:
        return self.method.p

    @property
    def interval(self) -> Interval | None:
        """Without 0 exactly where p, adjusted alike, is below 0.05."""
        return self.method.interval(self.level)

    @property
    def num_needed(self) -> int | None:
        """Number of units at this comparison's level; None where there is no difference to see.

        More folds would be other training sets, and not more draws.
        """
        return self.method.num_needed(self.level) if self.unit in ("samples", "seeds") else None

    @property
    def counts(self) -> McNemar | None:
        """Counts of right predictions, where the metric is their fraction."""
        return self.method if isinstance(self.method, McNemar) else None


def differences_on_samples(
    ours: Predictions, theirs: Predictions, figures: Mapping[str, tuple[float, float]]
) -> dict[str, Difference]:
    """Compare two models that predicted the same samples, by metric; `figures` are both's values.

    Fractions of the same samples (accuracy, top-5 accuracy, recall of a class) have McNemar's exact
    test, all else the paired sign-flip test. The precision of a class is a fraction of other
    samples with each model: no exact test of it is known, and with few samples it is rough.
    What is no sum over samples, as the calibration error, is left out.
    """
    exact = {name: pair for name in figures if (pair := _right(ours, theirs, name)) is not None}
    gaps = {name: mine - other for name, (mine, other) in figures.items() if name not in exact}
    parts = contributions_of(ours, theirs, gaps)
    if "log_loss" in parts:  # runs of older versions recorded one that was clipped elsewhere
        gaps["log_loss"] = float(parts["log_loss"].values.sum())
    found = {}
    for name, (mine, other) in exact.items():
        counts = McNemar.of(mine, other)
        gap = counts.num_more / counts.num_samples
        found[name] = Difference.of(gap, counts, "samples", counts.num_samples)
    for name, flips in flip_signs(gaps, parts).items():
        found[name] = Difference.of(gaps[name], flips, "samples", parts[name].num_samples)
    return {name: found[name] for name in figures if name in found}


def _right(ours: Predictions, theirs: Predictions, metric: str) -> tuple[Bools, Bools] | None:
    """Masks of right predictions, of a metric that is their fraction of the same samples."""
    if not isinstance(ours, ClassPredictions) or not isinstance(theirs, ClassPredictions):
        return None
    measure = Measure.parse(metric)
    if measure.class_name is None:
        top = {"accuracy": 1, "top5_accuracy": TOP}.get(metric)
        return None if top is None else (ours.ranks < top, theirs.ranks < top)
    if measure.metric != "recall" or measure.class_name not in ours.class_names:
        return None
    belongs = ours.targets == list(ours.class_names).index(measure.class_name)
    return (ours.ranks[belongs] == 0, theirs.ranks[belongs] == 0) if belongs.any() else None


def adjust(
    differences: Sequence[Difference], num_comparisons: int | None = None
) -> list[Difference]:
    """Holm's correction of p, and the interval of each at the level of its place in Holm's order.

    The smallest p is held to 0.05 / n, the next to 0.05 / (n - 1), until one is not below; that
    level holds for all the others too. Equal ones have the level of the first of them.
    """
    count = num_comparisons or len(differences)
    p_values = [each.p_alone for each in differences]
    corrected = holm(p_values, count)
    adjusted, level, before = list(differences), LEVEL, -1.0
    for place, index in enumerate(rising(p_values)):
        if before < level and p_values[index] > before:
            level = LEVEL / (count - place)
        before, p = p_values[index], corrected[index]
        adjusted[index] = replace(differences[index], p=p, level=level, num_comparisons=count)
    return adjusted
