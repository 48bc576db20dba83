"""One split's figures with their intervals and with what they must be held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from expkit.metrics.class_patterns import is_pattern, judged_classes, worst_class
from expkit.metrics.classification import (
    ClassFigures,
    measure,
    measure_each_class,
    most_predicted,
)
from expkit.metrics.intervals import Interval, wilson
from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.names import Measure
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.metrics.resampling import intervals_of


@dataclass(frozen=True)
class Figure:
    """A number with what is known of its noise."""

    value: float | None = None  # where nothing was measured
    interval: Interval | None = None
    num_samples: int = 0
    class_name: str | None = None  # the class that it is of, where no name said which
    num_classes: int | None = None  # of which that one is the worst


@dataclass(frozen=True)
class Measured:
    """All that one split's predictions come to."""

    num_samples: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    classes: Sequence[ClassFigures]
    most_predicted: tuple[str, int] | None = None  # the class, and how many predictions
    level: float = LEVEL  # that each interval leaves out

    @classmethod
    def of(cls, predictions: Predictions, level: float = LEVEL) -> Measured:
        classes: list[ClassFigures] = []
        most = None
        if isinstance(predictions, ClassPredictions):
            classes, most = measure_each_class(predictions, level), most_predicted(predictions)
        return cls(
            num_samples=len(predictions.samples),
            figures=measure(predictions),
            intervals=intervals_of(predictions, level),
            classes=classes,
            most_predicted=most,
            level=level,
        )

    def look_up(self, metric: str, *, upward: bool = True) -> Figure:
        """A metric of all classes, of one (`recall[cherry_pit]`), or of the worst (`recall[*]`).

        The worst is the lowest where more is asked (`upward`), else the highest.
        """
        wanted = Measure.parse(metric)
        if wanted.metric == "max_predicted_fraction" and self.most_predicted is not None:
            name, count = self.most_predicted
            ends = wilson(count, self.num_samples, self.level)
            return Figure(count / self.num_samples, ends, self.num_samples, name)
        if wanted.class_name is None:
            return Figure(self.figures.get(metric), self.intervals.get(metric), self.num_samples)
        if is_pattern(wanted.class_name, [each.name for each in self.classes]):
            judged = judged_classes(wanted.class_name, self.classes)
            worst = worst_class(wanted.metric, judged, higher_is_better=upward)
            found = _of_class(worst, wanted.metric)
            return replace(
                found, class_name=None if worst is None else worst.name, num_classes=len(judged)
            )
        named = (each for each in self.classes if each.name == wanted.class_name)
        return _of_class(next(named, None), wanted.metric)

    def class_rows(self) -> list[dict[str, Any]]:
        """For summary.json, which has null where a number is not finite."""
        return [{"class": row.pop("name"), **row} for row in map(_plain, self.classes)]


def _of_class(figures: ClassFigures | None, metric: str) -> Figure:
    if figures is None:
        return Figure()
    interval = getattr(figures, f"{metric}_interval", None)
    return Figure(getattr(figures, metric), interval, figures.count)


def _plain(figures: ClassFigures) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in asdict(figures).items():
        is_finite = not isinstance(value, float) or math.isfinite(value)
        plain[key] = list(value) if isinstance(value, tuple) else value if is_finite else None
    return plain
