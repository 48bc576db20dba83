"""The paired sign-flip test: a difference beside those that chance signs of its parts give."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from expkit.metrics.intervals import Interval
from expkit.metrics.mcnemar import LEVEL, fewest_differing, round_up, z_values
from expkit.metrics.sample_contributions import Contributions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SEED = 0
NUM_FLIPS = 9_999  # with the observed signs 10,000
MAX_EXACT = 13  # parts of which all 2^13 signs are tried
MAX_FLIPPED = 10_000  # of more parts the sum is normal
SIGNS_AT_ONCE = 1_000_000
ROUNDING = 1e-9  # sums that differ by less of their largest value are the same


@dataclass(frozen=True)
class SignFlips:
    """A difference, its parts a sample, and the sums that flipped signs of them have.

    Fisher 1935. Were the two models alike, each sample's part might as well have the other sign.
    For a difference of fractions of the same samples this is McNemar's exact test.
    """

    gap: float
    parts: Contributions
    sums: Floats | None  # absolute, falling; None where they are normal

    test: ClassVar[str] = "paired sign-flip test"

    @functools.cached_property
    def p(self) -> float:
        """The fraction of the sums that are at least as far from 0 as the difference."""
        if self.sums is None:
            return math.erfc(abs(self.gap) / self._error / math.sqrt(2))
        return float((self.sums >= abs(self.gap) - self._rounding).mean())

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The difference less and plus the sum that so few exceed: without 0 where p < level."""
        if not self.parts.values.any():
            return None
        if self.sums is None:
            half = z_values(level)[0] * self._error
        else:
            half = float(self.sums[max(math.ceil(level * len(self.sums)) - 1, 0)])
            if abs(half - abs(self.gap)) <= self._rounding:
                half = abs(self.gap)  # it ends at 0, and not beside it
        return self.gap - half, self.gap + half

    def num_needed(self, level: float = LEVEL) -> int | None:
        """About so many samples would show it: ((z_level + z_power) s / difference)^2."""
        import numpy as np

        differing = int(np.count_nonzero(self.parts.values))
        if abs(self.gap) <= self._rounding or not differing:
            return None
        values = self.parts.values - self.parts.values.mean()
        times = (sum(z_values(level)) / self.gap) ** 2 * float((values**2).sum())
        return round_up(self.parts.num_samples * max(times, fewest_differing(level) / differing))

    @property
    def _error(self) -> float:
        return math.sqrt(float((self.parts.values**2).sum()))

    @property
    def _rounding(self) -> float:
        return ROUNDING * float(abs(self.parts.values).sum())


def flip_signs(
    gaps: Mapping[str, float], parts: Mapping[str, Contributions]
) -> dict[str, SignFlips]:
    """The test of each metric that has parts; those of many parts share their draws."""
    import numpy as np

    counts = {name: int(np.count_nonzero(part.values)) for name, part in parts.items()}
    drawn = {name: parts[name] for name, count in counts.items() if count <= MAX_FLIPPED}
    exact = {name: drawn.pop(name) for name, count in counts.items() if count <= MAX_EXACT}
    sums: dict[str, Floats] = {name: _all_sums(part.values) for name, part in exact.items()}
    sums |= dict(zip(drawn, _draw_sums(list(drawn.values())), strict=True))
    for name in sums:
        if name in drawn or abs(gaps[name]) > sums[name].max() * (1 + ROUNDING):
            sums[name] = np.append(sums[name], abs(gaps[name]))  # the observed is one of them
    return {
        name: SignFlips(gaps[name], part, -np.sort(-sums[name]) if name in sums else None)
        for name, part in parts.items()
    }


def _all_sums(values: Floats) -> Floats:
    """Absolute sums under all signs of those parts that are not 0."""
    import numpy as np

    sums = np.zeros(1)
    for value in values[values != 0]:
        sums = np.concatenate([sums + value, sums - value])
    return np.abs(sums)


def _draw_sums(parts: Sequence[Contributions]) -> list[Floats]:
    """Absolute sums under seeded signs, which are the same for every metric."""
    import numpy as np

    if not parts:
        return []
    values_NM = np.stack([part.values for part in parts], axis=1)
    values_NM = values_NM[values_NM.any(axis=1)]
    random = np.random.default_rng(SEED)
    at_once = max(1, SIGNS_AT_ONCE // len(values_NM))
    sums = []
    for start in range(0, NUM_FLIPS, at_once):
        count = min(at_once, NUM_FLIPS - start)
        signs = random.integers(0, 2, size=(count, len(values_NM)), dtype=np.int8) * 2.0 - 1
        sums.append(np.abs(signs @ values_NM))
    return list(np.concatenate(sums).T)
