"""One split's figures with their intervals and with what they must be held against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from expkit.metrics.classification import ClassFigures, measure, measure_each_class
from expkit.metrics.intervals import Interval
from expkit.metrics.names import Measure
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.metrics.resampling import intervals_of


@dataclass(frozen=True)
class Figure:
    """A number with what is known of its noise."""

    value: float | None = None  # where nothing was measured
    interval: Interval | None = None
    num_samples: int = 0


@dataclass(frozen=True)
class Measured:
    """All that one split's predictions come to."""

    num_samples: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    classes: Sequence[ClassFigures]

    @classmethod
    def of(cls, predictions: Predictions) -> Measured:
        classes: list[ClassFigures] = []
        if isinstance(predictions, ClassPredictions):
            classes = measure_each_class(predictions)
        return cls(
            num_samples=len(predictions.samples),
            figures=measure(predictions),
            intervals=intervals_of(predictions),
            classes=classes,
        )

    def look_up(self, metric: str) -> Figure:
        """A metric of all classes, or of one: `recall[cherry_pit]`."""
        wanted = Measure.parse(metric)
        if wanted.class_name is None:
            return Figure(self.figures.get(metric), self.intervals.get(metric), self.num_samples)
        for figures in self.classes:
            if figures.name == wanted.class_name:
                interval = getattr(figures, f"{wanted.metric}_interval", None)
                return Figure(getattr(figures, wanted.metric), interval, figures.count)
        return Figure()

    def class_rows(self) -> list[dict[str, Any]]:
        """For summary.json, which has null where a number is not finite."""
        return [{"class": row.pop("name"), **row} for row in map(_plain, self.classes)]


def _plain(figures: ClassFigures) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in asdict(figures).items():
        is_finite = not isinstance(value, float) or math.isfinite(value)
        plain[key] = list(value) if isinstance(value, tuple) else value if is_finite else None
    return plain
