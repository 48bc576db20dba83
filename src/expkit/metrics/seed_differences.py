"""The difference of two recipes over seeds: Student's t, which gives p and the interval alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from expkit.metrics.intervals import Interval
from expkit.metrics.mcnemar import LEVEL, POWER, round_up, z_values
from expkit.metrics.significance import Difference

FEW_SEEDS = 40
ROUNDING = 1e-9  # below such a part of a difference, a std is the arithmetic's own


@dataclass(frozen=True)
class Student:
    """A mean difference, its standard error, and what is known where seeds do not vary."""

    test: str
    gap: float
    error: float  # 0 where the seeds do not vary
    freedom: float
    std: float  # of one pair of seeds
    sides: int  # 1: paired, 2: two groups of seeds
    p_constant: float  # one-sided, of a difference that does not vary

    @property
    def p(self) -> float:
        """The two-sided p of a difference other than 0."""
        return min(2 * min(self.p_below(0), self.p_above(0)), 1.0)

    def p_below(self, bound: float) -> float:
        """The one-sided p of a difference below the bound."""
        return self._one_sided(bound - self.gap)

    def p_above(self, bound: float) -> float:
        """The one-sided p of a difference above the bound."""
        return self._one_sided(self.gap - bound)

    def _one_sided(self, distance: float) -> float:
        from scipy.special import stdtr  # scipy.stats takes a second to be imported

        if self.error:
            return float(stdtr(self.freedom, -distance / self.error))
        return self.p_constant if distance > 0 else 1.0

    def interval(self, level: float = LEVEL) -> Interval | None:
        """None where the seeds do not vary: that they agree is not certainty."""
        from scipy.special import stdtrit

        if not self.error:
            return None
        half = float(stdtrit(self.freedom, 1 - level / 2)) * self.error
        return self.gap - half, self.gap + half

    def num_needed(self, level: float = LEVEL) -> int | None:
        """((t_level + t_power) s / difference)^2; few seeds know little of their std."""
        if not self.gap or not self.error:
            return None
        needed = (sum(z_values(level)) * self.std / self.gap) ** 2
        if needed > FEW_SEEDS:
            return round_up(needed)
        from scipy.special import stdtrit

        for count in range(2, FEW_SEEDS):
            ends = stdtrit(self.sides * (count - 1), [1 - level / 2, POWER])
            if count >= (float(ends.sum()) * self.std / self.gap) ** 2:
                return count
        return FEW_SEEDS


def difference_over_seeds(
    ours: Mapping[int, float], theirs: Mapping[int, float]
) -> Difference | None:
    """Compare two recipes by each seed's figure: paired where both had the same, else Welch's.

    One seed on one side says nothing of that side's std: it is taken to be the other's.
    """
    if max(len(ours), len(theirs)) < 2:
        return None
    if ours.keys() == theirs.keys():
        method = _paired([ours[seed] - theirs[seed] for seed in ours])
        return Difference.of(method.gap, method, "seeds", len(ours))
    method, sizes = _unpaired(list(ours.values()), list(theirs.values())), (len(ours), len(theirs))
    return replace(Difference.of(method.gap, method, "seeds", min(sizes)), sizes=sizes)


def _paired(gaps: Sequence[float]) -> Student:
    """Student's t of the differences; the sign test where they are all the same."""
    count, mean, std = len(gaps), statistics.fmean(gaps), statistics.stdev(gaps)
    if std <= ROUNDING * abs(mean):
        return Student("sign test", mean, 0.0, 0, 0.0, 1, 2.0**-count)
    return Student("paired t test", mean, std / math.sqrt(count), count - 1, std, 1, math.nan)


def _unpaired(ours: Sequence[float], theirs: Sequence[float]) -> Student:
    """Welch's t; an exact permutation test where neither side varies."""
    gap = statistics.fmean(ours) - statistics.fmean(theirs)
    sizes = len(ours), len(theirs)
    known = [statistics.variance(side) for side in (ours, theirs) if len(side) > 1]
    variances = known if len(known) == 2 else known * 2
    parts = [variance / size for variance, size in zip(variances, sizes, strict=True)]
    error, std = math.sqrt(sum(parts)), math.sqrt(sum(variances))
    if error <= ROUNDING * abs(gap):
        p_constant = 1 / math.comb(sum(sizes), sizes[0])
        return Student("permutation test", gap, 0.0, 0, 0.0, 2, p_constant)
    if len(known) < 2:
        return Student("Student's t test", gap, error, max(sizes) - 1, std, 2, math.nan)
    below = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return Student("Welch's t test", gap, error, error**4 / below, std, 2, math.nan)
