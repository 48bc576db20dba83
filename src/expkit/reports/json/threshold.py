"""The document of `expkit threshold`: a class's cut-offs, and what confirms them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from expkit.metrics.task_types import MAYBE
from expkit.metrics.threshold_verdicts import Verdict
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import FILE, Threshold
from expkit.reports.json.header import Document
from expkit.reports.json.pick import pick


@dataclass(frozen=True)
class CountedFraction:
    """A fraction of samples."""

    count: int
    total: int
    fraction: float | None  # null of none
    interval: tuple[float, float] | None  # of 95 %


@dataclass(frozen=True)
class DecisionsOnHalf:
    """What the cut-offs decide on one half of the held-out samples."""

    num_samples: int
    recall: CountedFraction  # of the class: not called another one
    maybe: CountedFraction  # of all
    wrong_class: CountedFraction  # of those called the class: of another one
    wrong_other: CountedFraction  # of those called another: of the class


@dataclass(frozen=True)
class ClassThreshold:
    """Below `low` another class, from `high` on this one, between them maybe."""

    class_name: str
    low: float
    high: float | None  # null: no cut-off makes this class sure
    asked_recall: float | None
    asked_precision: float | None
    split: str
    seed: int  # of the halves
    temperature: float  # of the probabilities
    verdict: Verdict  # of the half that did not choose
    chosen_on: DecisionsOnHalf
    confirmed_on: DecisionsOnHalf


@dataclass(frozen=True, kw_only=True)
class ThresholdDocument(Document):
    """The threshold that was chosen now, and those of other classes that the run keeps."""

    schema: Literal["expkit/threshold"] = "expkit/threshold"
    run: str
    path: str
    threshold: ClassThreshold
    beside: Sequence[ClassThreshold]
    kept_in: str  # the file
    curve: str  # the plot


def threshold_document(
    run: Run, threshold: Threshold, beside: Sequence[Threshold], curve: Path
) -> ThresholdDocument:
    """Return a threshold with its evidence."""
    return ThresholdDocument(
        run=run.name,
        path=str(run.path),
        threshold=_of_class(threshold),
        beside=[_of_class(each) for each in beside],
        kept_in=str(run.path / FILE),
        curve=str(curve),
    )


def _of_class(found: Threshold) -> ClassThreshold:
    return ClassThreshold(
        class_name=found.class_name,
        low=found.low,
        high=found.high,
        asked_recall=found.asked_recall,
        asked_precision=found.asked_precision,
        split=found.split,
        seed=found.seed,
        temperature=found.temperature,
        verdict=found.verdict,
        chosen_on=_half(found.evidence["chosen_on"]),
        confirmed_on=_half(found.evidence["confirmed_on"]),
    )


def _half(record: Mapping[str, Any]) -> DecisionsOnHalf:
    return DecisionsOnHalf(
        num_samples=record["num_samples"],
        recall=pick(CountedFraction, record["recall"]),
        maybe=pick(CountedFraction, record[MAYBE]),
        wrong_class=pick(CountedFraction, record["wrong_class"]),
        wrong_other=pick(CountedFraction, record["wrong_other"]),
    )
