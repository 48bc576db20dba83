"""Drift: whether the images that come in differ from those that a model was trained and tried on.

The last images are compared each time so many more have come. Every look may err, so that the k-th
is held to 0.05 / k(k + 1), which sums up to 0.05: where nothing drifts, 95 of 100 watches never
say that something does, however long they last. Holm's correction is for the figures of one look.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from expkit.metrics.intervals import Interval, Z, wilson
from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.p_values import holm

WINDOW, STEP = 200, 50  # images: so many are compared, each time so many more have come
SMALLEST_STD = 1.0  # of 255: less is rounding


@dataclass(frozen=True)
class Seen:
    """One image that came in; what is not known of it is None."""

    prediction: str | None = None
    confidence: float | None = None
    levels: Sequence[float] | None = None  # the mean of each channel, 0 to 255
    grain: float | None = None


@dataclass(frozen=True)
class HeldOut:
    """The predictions of held-out samples."""

    low: float  # a confidence that few of them are below
    num_low: int  # of them
    class_counts: Mapping[str, int]  # by the class that was predicted

    @property
    def num_samples(self) -> int:
        return sum(self.class_counts.values())


@dataclass(frozen=True)
class TrainingImages:
    """The recorded statistics of training images."""

    channels: Sequence[str]
    levels: Sequence[float]  # of each channel: the mean of the images' means
    stds: Sequence[float]  # of the images' means
    brightness: tuple[float, float]  # the lower and the upper quartile
    num_images: int
    grain: tuple[float, float]
    num_grain: int  # of the images, of which the grain was measured


@dataclass(frozen=True)
class Comparison:
    """A figure of the last images beside what it is expected to be."""

    name: str
    value: float
    interval: Interval
    expected: float
    of: str  # what the expectation was measured on
    is_fraction: bool
    at_most: bool  # whether less than the expectation is no difference
    num_images: int  # that the value is of
    p: float  # corrected for all figures of the look


@dataclass(frozen=True)
class Counts:
    """So many of the last images are of a kind, and so many of those that they are held against."""

    name: str
    count: int
    total: int
    expected: int
    expected_total: int
    of: str
    only_more: bool = False  # whether fewer than expected says nothing

    def compared(self, p: float) -> Comparison:
        """Return the fractions, with the p of their difference."""
        interval = wilson(self.count, self.total)
        assert interval is not None, "no look is made of nothing"
        return Comparison(
            name=self.name,
            value=self.count / self.total,
            interval=interval,
            expected=self.expected / self.expected_total,
            of=self.of,
            is_fraction=True,
            at_most=self.only_more,
            num_images=self.total,
            p=p,
        )


@dataclass(frozen=True)
class Look:
    """The figures at one look; those that have begun to differ, and those that have ceased to."""

    figures: Sequence[Comparison]
    began: Sequence[Comparison]
    ended: Sequence[Comparison]


@dataclass
class DriftWatch:
    """Takes what comes in, image by image, and tells at each look what has changed."""

    held_out: HeldOut | None
    images: TrainingImages | None
    num_seen: int = 0
    num_looks: int = 0
    last: Look | None = None
    differing: set[str] = field(default_factory=set)  # names of figures
    _window: deque[Seen] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def add(self, seen: Seen) -> Look | None:
        """Take one image; a look where it is time for one."""
        self._window.append(seen)
        self.num_seen += 1
        if self.num_seen % STEP:
            return None
        figures = self._compare()
        if not figures:
            return None
        self.num_looks += 1
        level = LEVEL / (self.num_looks * (self.num_looks + 1))
        began = [e for e in figures if e.name not in self.differing and e.p < level]
        ended = [e for e in figures if e.name in self.differing and e.p >= LEVEL]
        self.differing |= {each.name for each in began}
        self.differing -= {each.name for each in ended}
        self.last = Look(figures, began, ended)
        return self.last

    def _compare(self) -> list[Comparison]:
        """All figures of the window, with Holm's correction."""
        counts = [
            *(self._count_predictions(self.held_out) if self.held_out else ()),
            *(self._count_quarters(self.images) if self.images else ()),
        ]
        levels = self._compare_levels(self.images) if self.images else ()
        found = [*compare_fractions(counts), *levels]
        adjusted = holm([each.p for each in found])
        return [replace(each, p=p) for each, p in zip(found, adjusted, strict=True)]

    def _count_predictions(self, held_out: HeldOut) -> Iterator[Counts]:
        seen = [each for each in self._window if each.confidence is not None]
        if len(seen) < STEP:
            return
        of, total = "held-out samples", held_out.num_samples
        # what is no number is not confident either
        low = sum(not (each.confidence or 0.0) >= held_out.low for each in seen)
        name = f"confidence below {held_out.low:.4g}"
        yield Counts(name, low, len(seen), held_out.num_low, total, of)
        counts = Counter(each.prediction for each in seen)
        classes = list(held_out.class_counts.items())
        for class_name, expected in classes[1:] if len(classes) == 2 else classes:  # of two, one
            if counts[class_name] or expected:
                name = f"predicted {class_name}"
                yield Counts(name, counts[class_name], len(seen), expected, total, of)

    def _count_quarters(self, train: TrainingImages) -> Iterator[Counts]:
        """Count the images beyond a quartile, as at most a quarter of the training images is.

        Fewer are where many are equal, so that only more than a quarter says anything.
        """
        levels, grain = self._statistics()
        brightness = [sum(each) / len(each) for each in levels]
        for values, (lower, upper), total, names in (
            (brightness, train.brightness, train.num_images, ("darker", "brighter")),
            (grain, train.grain, train.num_grain, ("less grain", "more grain")),
        ):
            beyond = (sum(e < lower for e in values), sum(e > upper for e in values))
            quarter = -(-total // 4)
            for kind, count in zip(names, beyond, strict=True) if values else ():
                name = f"{kind} than three quarters"
                of = "training images"
                yield Counts(name, count, len(values), quarter, total, of, only_more=True)

    def _compare_levels(self, train: TrainingImages) -> Iterator[Comparison]:
        levels, _ = self._statistics()
        for place, channel in enumerate(train.channels if levels else ()):
            values = [each[place] for each in levels]
            mean, std = train.levels[place], train.stds[place]
            yield compare_levels(f"mean {channel}", values, mean, std, train.num_images)

    def _statistics(self) -> tuple[list[Sequence[float]], list[float]]:
        """The levels and the grain of the window's images; of too few, of none."""
        seen = [(e.levels, e.grain) for e in self._window]
        known = [(levels, grain) for levels, grain in seen if levels and grain is not None]
        if len(known) < STEP:
            return [], []
        return [levels for levels, _ in known], [grain for _, grain in known]


def compare_fractions(fractions: Sequence[Counts]) -> list[Comparison]:
    """Compare fractions by Fisher's exact test, whose two-sided p is twice the smaller tail."""
    import numpy as np
    from scipy.stats import hypergeom

    if not fractions:
        return []
    count, total, expected, expected_total = np.array(
        [(e.count, e.total, e.expected, e.expected_total) for e in fractions]
    ).T
    drawn = (total + expected_total, count + expected, total)
    more, fewer = hypergeom.sf(count - 1, *drawn), hypergeom.cdf(count, *drawn)
    two_sided = np.minimum(1, 2 * np.minimum(more, fewer))
    only_more = [each.only_more for each in fractions]
    p_values = np.where(only_more, more, two_sided).tolist()
    return [each.compared(p) for each, p in zip(fractions, p_values, strict=True)]


def compare_levels(
    name: str, values: Sequence[float], expected: float, std: float, num_expected: int
) -> Comparison:
    """Compare means of images by the z test, with the std of the training images for both."""
    count = len(values)
    mean = sum(values) / count
    spread = math.sqrt(sum((each - mean) ** 2 for each in values) / (count - 1))
    half = Z * max(spread, SMALLEST_STD) / math.sqrt(count)
    z = (mean - expected) / (max(std, SMALLEST_STD) * math.sqrt(1 / count + 1 / num_expected))
    return Comparison(
        name=name,
        value=mean,
        interval=(max(0.0, mean - half), mean + half),
        expected=expected,
        of="training images",
        is_fraction=False,
        at_most=False,
        num_images=count,
        p=math.erfc(abs(z) / math.sqrt(2)),
    )
