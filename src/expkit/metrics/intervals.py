"""Confidence intervals of figures, by the number of samples: of 95 %, where no level is given."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from expkit.metrics.mcnemar import LEVEL

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Statistic = Callable[[Floats], Mapping[str, Floats]]

Interval = tuple[float, float]

Z = 1.959964  # of the normal distribution, half of that on either side
SEED = 0
MAX_RESAMPLES, MIN_RESAMPLES = 1000, 200
MAX_WEIGHTS = 10_000_000  # resamples x samples: about 0.3 s
WEIGHTS_AT_ONCE = 1_000_000


def wilson(count: float, total: float, level: float = LEVEL) -> Interval | None:
    """Bound a fraction of samples, everywhere in expkit; None of nothing.

    Wilson 1927: it keeps inside 0 and 1, and says something also where all were right. On average
    it covers 95 %, where the exact interval of few samples covers 98 % and more (Brown, Cai and
    DasGupta 2001).
    """
    if total <= 0:
        return None
    fraction = count / total
    z = Z if level == LEVEL else statistics.NormalDist().inv_cdf(1 - level / 2)
    scale = 1 + z**2 / total
    middle = (fraction + z**2 / (2 * total)) / scale
    half = z * math.sqrt(fraction * (1 - fraction) / total + z**2 / (4 * total**2)) / scale
    # the ends are exact there, and rounding would leave them off by 1e-17
    low = 0.0 if count == 0 else middle - half
    high = 1.0 if count == total else middle + half
    return low, high


def bootstrap(num_samples: int, statistic: Statistic, *, cost: int = 1) -> dict[str, Interval]:
    """Percentiles over resamples.

    A figure that no resample changes is left out: that all resamples of a perfect score are
    perfect is not certainty.
    """
    found = resample(num_samples, statistic, cost=cost)
    intervals = {name: percentiles(values) for name, values in found.items()}
    return {name: interval for name, interval in intervals.items() if interval is not None}


def resample(num_samples: int, statistic: Statistic, *, cost: int = 1) -> dict[str, Floats]:
    """A statistic over seeded resamples of the samples, given as B x samples of weights.

    One that costs as much as `cost` plain ones gets so many fewer resamples, and where those are
    too few, none.
    """
    import numpy as np

    num_resamples = min(MAX_RESAMPLES, MAX_WEIGHTS // max(num_samples * cost, 1))
    if num_resamples < MIN_RESAMPLES:
        return {}
    parts = [statistic(weights) for weights in _resamples(num_samples, num_resamples)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentiles(values: Floats, level: float = LEVEL) -> Interval | None:
    """Return the interval of the finite ones; None where they are too few, or all the same."""
    import numpy as np

    finite = values[np.isfinite(values)]
    if len(finite) < MIN_RESAMPLES:
        return None
    low, high = np.percentile(finite, [100 * level / 2, 100 - 100 * level / 2])
    return (float(low), float(high)) if low < high else None


def _resamples(num_samples: int, num_resamples: int) -> Iterator[Floats]:
    """Yield how often each resample drew each sample, a few resamples at a time."""
    import numpy as np

    random = np.random.default_rng(SEED)
    at_once = max(1, WEIGHTS_AT_ONCE // num_samples)
    for start in range(0, num_resamples, at_once):
        count = min(at_once, num_resamples - start)
        drawn = random.integers(num_samples, size=(count, num_samples))
        drawn += num_samples * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * num_samples)
        yield weights.reshape(count, num_samples).astype(np.float64)
