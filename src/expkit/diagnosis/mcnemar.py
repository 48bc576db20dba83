"""Two models' answers to the very same samples: which of them has more right, and is it chance?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]

Z_LEVEL, Z_POWER = 1.959964, 0.841621  # a level of 5 % on two sides, a power of 80 %
FEWEST_DIFFERING = 6  # the exact p of fewer is above 5 % though all are the same one's: 2 / 2^5


@dataclass(frozen=True)
class McNemar:
    """Samples that both, only one, or none of two models have right; McNemar 1947, exact."""

    both_right: int
    only_ours: int
    only_theirs: int
    both_wrong: int

    @classmethod
    def of(cls, ours: Bools, theirs: Bools) -> McNemar:
        """Of two masks over the same samples: who was right where."""
        pairs = (ours & theirs, ours & ~theirs, theirs & ~ours, ~(ours | theirs))
        return cls(*(int(mask.sum()) for mask in pairs))

    @property
    def num_samples(self) -> int:
        return self.both_right + self.only_ours + self.only_theirs + self.both_wrong

    @property
    def num_more(self) -> int:
        """So many more samples are right with ours than with theirs."""
        return self.only_ours - self.only_theirs

    @cached_property
    def p(self) -> float:
        """Of the samples that only one has right, is it more often the same one?"""
        from scipy.stats import binomtest

        differing = self.only_ours + self.only_theirs
        return float(binomtest(self.only_ours, differing).pvalue) if differing else 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Of the difference of both shares, 95 %, by the normal distribution: of many samples."""
        gap, count = self.num_more / self.num_samples, self.num_samples
        spread = (self.only_ours + self.only_theirs) / count - gap**2
        half = Z_LEVEL * math.sqrt(spread / count)
        return gap - half, gap + half

    @property
    def num_needed(self) -> int | None:
        """About so many samples would show this difference; None where there is none to show.

        Connor 1987, with the shares seen here: of samples that only one has right, and of those
        by which one is ahead.
        """
        if self.num_more == 0:
            return None
        discordant = (self.only_ours + self.only_theirs) / self.num_samples
        ahead = abs(self.num_more) / self.num_samples
        root = Z_LEVEL * math.sqrt(discordant) + Z_POWER * math.sqrt(discordant - ahead**2)
        return round_up(max(root**2 / ahead**2, FEWEST_DIFFERING / discordant))


def round_up(number: float) -> int:
    """To two digits, as `about` has no more."""
    digits = 10 ** max(len(str(int(number))) - 2, 0)
    return int(-(-number // digits) * digits)
