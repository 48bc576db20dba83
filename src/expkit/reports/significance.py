"""Whether a difference between two models, or two recipes, is more than the luck of the draw."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from expkit.diagnosis.mcnemar import Z_LEVEL, Z_POWER, McNemar, round_up
from expkit.records.predictions import ClassPredictions, Predictions
from expkit.reports.intervals import Interval, percentiles
from expkit.reports.resampling import resampled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL = 0.05
FEW_SEEDS = 40
ROUNDING = 1e-9  # below such a part of a difference, a spread is the arithmetic's own


@dataclass(frozen=True)
class Difference:
    """How much larger a metric is with ours than with theirs, and what is known of its noise."""

    value: float
    interval: Interval | None
    p: float
    test: str
    unit: str  # what was drawn: samples, or seeds
    count: int
    num_needed: int | None  # of that unit, to see it; None where there is no difference to see
    counts: McNemar | None = None  # of right answers, where the metric is their share


@dataclass(frozen=True)
class Answers:
    """What one model answered, and its metrics under resamples, drawn once for all comparisons."""

    predictions: Predictions
    metrics: Sequence[str]  # wanted

    @functools.cached_property
    def draws(self) -> Mapping[str, Floats]:
        return resampled(self.predictions, self.metrics)


def differences_on_samples(
    ours: Answers, theirs: Answers, figures: Mapping[str, tuple[float, float]]
) -> dict[str, Difference]:
    """Of two models that answered the same samples, by metric; `figures` are both's values.

    What cannot be resampled, as the calibration error, is left out. Accuracy has McNemar's exact
    test; every other metric is held against the standard error of its resampled difference.
    """
    num_samples = len(ours.predictions.samples)
    found: dict[str, Difference] = {}
    for name in figures.keys() & ours.draws.keys() & theirs.draws.keys():
        values = ours.draws[name], theirs.draws[name]
        if len(values[0]) == len(values[1]):
            gap = figures[name][0] - figures[name][1]
            found[name] = _resampled(gap, values[0] - values[1], num_samples)
    mine, other = ours.predictions, theirs.predictions
    if isinstance(mine, ClassPredictions) and isinstance(other, ClassPredictions):
        counts = McNemar.of(mine.ranks == 0, other.ranks == 0)
        interval = found["accuracy"].interval if "accuracy" in found else counts.interval
        found["accuracy"] = _counted(counts, interval)
    return {name: found[name] for name in figures if name in found}


def _counted(counts: McNemar, interval: Interval | None) -> Difference:
    return Difference(
        counts.num_more / counts.num_samples,
        interval,
        counts.p,
        "McNemar's exact test",
        "samples",
        counts.num_samples,
        counts.num_needed,
        counts,
    )


def _resampled(gap: float, values: Floats, num_samples: int) -> Difference:
    """By the standard error; a difference that no resample changes has the sign test."""
    import numpy as np

    finite = values[np.isfinite(values)]
    error = float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    if error > 0:
        p = math.erfc(abs(gap) / error / math.sqrt(2))
    else:
        p = 2.0 ** (1 - num_samples) if gap else 1.0
    return Difference(
        gap,
        percentiles(values),
        p,
        "paired bootstrap" if error > 0 else "sign test",
        "samples",
        num_samples,
        _num_needed(gap, error * math.sqrt(num_samples)),
    )


def difference_over_seeds(
    ours: Mapping[int, float], theirs: Mapping[int, float]
) -> Difference | None:
    """Of two recipes, from each seed's figure: paired where both had the same seeds, else Welch's.

    One seed on one side says nothing of that side's spread: it is taken to be the other's.
    """
    if max(len(ours), len(theirs)) < 2:
        return None
    if ours.keys() == theirs.keys():
        return _paired([ours[seed] - theirs[seed] for seed in ours])
    return _unpaired(list(ours.values()), list(theirs.values()))


def _paired(gaps: Sequence[float]) -> Difference:
    """Student's t of the differences; the sign test where they are all the same."""
    count, mean, spread = len(gaps), statistics.fmean(gaps), statistics.stdev(gaps)
    test, interval, p = "paired t test", None, 1.0
    if spread > ROUNDING * abs(mean):
        interval, p = _student(mean, spread / math.sqrt(count), count - 1)
    elif mean:
        test, p = "sign test", 2.0 ** (1 - count)
    return Difference(mean, interval, p, test, "seeds", count, _seeds_needed(mean, spread, sides=1))


def _unpaired(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Welch's t; an exact permutation test where neither side varies."""
    gap = statistics.fmean(ours) - statistics.fmean(theirs)
    sizes = len(ours), len(theirs)
    known = [statistics.variance(side) for side in (ours, theirs) if len(side) > 1]
    variances = known if len(known) == 2 else known * 2
    parts = [variance / size for variance, size in zip(variances, sizes, strict=True)]
    test, interval, p = "Welch's t test", None, 1.0
    if math.sqrt(sum(parts)) > ROUNDING * abs(gap):
        if len(known) == 2:
            below = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
            freedom = sum(parts) ** 2 / below
        else:
            test, freedom = "Student's t test", max(sizes) - 1
        interval, p = _student(gap, math.sqrt(sum(parts)), freedom)
    elif gap:
        test, p = "permutation test", 2 / math.comb(sum(sizes), sizes[0])
    needed = _seeds_needed(gap, math.sqrt(sum(variances)), sides=2)
    return Difference(gap, interval, min(p, 1.0), test, "seeds", min(sizes), needed)


def _student(mean: float, error: float, freedom: float) -> tuple[Interval, float]:
    from scipy.stats import t

    half = float(t.ppf(0.975, freedom)) * error
    return (mean - half, mean + half), float(2 * t.sf(abs(mean) / error, freedom))


def _num_needed(gap: float, spread: float) -> int | None:
    """At which a difference of this size is seen in four of five trials: ((z_a + z_b) s / d)^2."""
    if not gap or spread <= ROUNDING * abs(gap):
        return None
    return round_up(max(((Z_LEVEL + Z_POWER) * spread / gap) ** 2, 2))


def _seeds_needed(gap: float, spread: float, *, sides: int) -> int | None:
    """By Student's distribution where they are few: two seeds know little of their spread."""
    needed = _num_needed(gap, spread)
    if needed is None or needed > FEW_SEEDS:
        return needed
    from scipy.stats import t

    for count in range(2, FEW_SEEDS):
        ends = t.ppf([0.975, 0.8], sides * (count - 1))
        if count >= (float(ends.sum()) * spread / gap) ** 2:
            return count
    return FEW_SEEDS


def holm(p_values: Sequence[float], num_comparisons: int | None = None) -> list[float]:
    """Adjusted so that none of all comparisons is called real by chance in 95 of 100 cases.

    Holm 1979. Where more were made, or could be chosen from, than are given, that number counts.
    """
    count = num_comparisons or len(p_values)
    adjusted, floor = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (count - place) * p_values[index]))
        adjusted[index] = floor
    return adjusted
