"""The exact McNemar test: which of two models has more of the same samples right, beyond chance."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]

LEVEL, POWER = 0.05, 0.8
NUM_POINTS = 200  # at which a distribution is summed up


@dataclass(frozen=True)
class McNemar:
    """Samples that both, only one, or none of two models have right; McNemar 1947, exact."""

    both_right: int
    only_ours: int
    only_theirs: int
    both_wrong: int

    test: ClassVar[str] = "McNemar's exact test"

    @classmethod
    def of(cls, ours: Bools, theirs: Bools) -> McNemar:
        """Count from two masks of correct predictions over the same samples."""
        pairs = (ours & theirs, ours & ~theirs, theirs & ~ours, ~(ours | theirs))
        return cls(*(int(mask.sum()) for mask in pairs))

    @property
    def num_samples(self) -> int:
        return self.both_right + self.only_ours + self.only_theirs + self.both_wrong

    @property
    def num_discordant(self) -> int:
        """Samples that only one of the two has right."""
        return self.only_ours + self.only_theirs

    @property
    def num_more(self) -> int:
        """So many more samples are right with ours than with theirs."""
        return self.only_ours - self.only_theirs

    @cached_property
    def p(self) -> float:
        """The exact p of a split of the discordant samples that is as uneven as this one."""
        from scipy.special import bdtr  # scipy.stats takes a second to be imported

        fewer = min(self.only_ours, self.only_theirs)
        return min(1.0, 2 * float(bdtr(fewer, self.num_discordant, 0.5)))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Bounds of the difference of both fractions; they exclude 0 where p is below the level.

        The exact bounds of how the discordant samples split (Clopper and Pearson 1934), which are
        quantiles of beta distributions, times how many are discordant, which is drawn as well.
        """
        gap = self.num_more / self.num_samples
        low, high = -self._upper(self.only_theirs, level), self._upper(self.only_ours, level)
        return min(low, gap), max(high, gap)  # where all samples are discordant, 1 is not drawn

    def _upper(self, ahead: int, level: float) -> float:
        """Upper bound of (2 split - 1) x discordant, where `ahead` is the winners' number."""
        import numpy as np
        from scipy.optimize import brentq
        from scipy.special import betainc, betaincinv

        count, confidence = self.num_discordant, 1 - level / 2
        beta = count + 0.5, self.num_samples - count + 0.5
        if ahead == count:  # the split may be all to one side
            return float(betaincinv(*beta, confidence))
        discordant = betaincinv(*beta, (np.arange(NUM_POINTS) + 0.5) / NUM_POINTS)

        def excess(bound: float) -> float:
            splits = np.clip((1 + bound / discordant) / 2, 0, 1)
            return float(betainc(ahead + 1, count - ahead, splits).mean()) - confidence

        # 0 is one end of the search, so that the bound never lies on its wrong side
        return float(brentq(excess, 0, 1) if excess(0) < 0 else brentq(excess, -1, 0))

    def num_needed(self, level: float = LEVEL) -> int | None:
        """About so many samples would show this difference; None where there is none to show.

        Connor 1987, with the fractions seen here: of samples that only one has right, and of those
        by which one is ahead.
        """
        if self.num_more == 0:
            return None
        discordant = self.num_discordant / self.num_samples
        ahead = abs(self.num_more) / self.num_samples
        z_level, z_power = z_values(level)
        root = z_level * math.sqrt(discordant) + z_power * math.sqrt(discordant - ahead**2)
        return round_up(max(root**2 / ahead**2, fewest_differing(level) / discordant))


def z_values(level: float) -> tuple[float, float]:
    """Normal quantiles of a two-sided level, and of the power that studies are planned with."""
    normal = statistics.NormalDist()
    return normal.inv_cdf(1 - level / 2), normal.inv_cdf(POWER)


def fewest_differing(level: float) -> int:
    """The fewest samples that can prove anything: all in favour of one, p is 2 / 2^count."""
    return math.floor(math.log2(2 / level)) + 1


def round_up(number: float) -> int:
    """To two digits, as `about` has no more."""
    digits = 10 ** max(len(str(int(number))) - 2, 0)
    return int(-(-number // digits) * digits)
