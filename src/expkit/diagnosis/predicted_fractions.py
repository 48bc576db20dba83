"""The fraction of a split's predictions that goes to one class, as recorded with each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from expkit.diagnosis.constant_predictor import constant_loss
from expkit.diagnosis.evidence import Evidence
from expkit.metrics.predictions import ClassPredictions
from expkit.records.files import Record


@dataclass(frozen=True)
class Fraction:
    """The fraction of a split's predictions that one class got, and that of its samples."""

    split: str
    class_index: int
    predicted: float
    true: float
    count: int

    @classmethod
    def of(cls, predictions: ClassPredictions) -> Self:
        import numpy as np

        counts = np.bincount(predictions.predictions)
        largest, total = int(counts.argmax()), len(predictions.targets)
        true = float((predictions.targets == largest).mean())
        return cls(predictions.split, largest, float(counts[largest]) / total, true, total)


@dataclass(frozen=True)
class Pile:
    """Held-out predictions of one epoch, most of them one class and surely wrong."""

    record: Record
    fraction: Fraction
    class_name: str
    loss: float

    @property
    def in_training(self) -> float | None:
        """The most that the class can have got of the predictions on train, in training mode."""
        found: dict[str, Any] = (self.record.get("predicted") or {}).get("train") or {}
        fractions = found.get("fractions")
        value = fractions[self.fraction.class_index] if fractions else found.get("largest_fraction")
        return None if value is None else float(value)


# what counts as most of the predictions, beyond the class's fraction of the samples, and from which
# multiple of a constant prediction's loss: a slow start predicts one class, too, but costs no more
MOST, EXCESS, COSTLY = 0.7, 0.4, 2.0


def piles_of(evidence: Evidence, records: Sequence[Record]) -> list[Pile]:
    """The piles of these epochs of a stage; none where one of these has none."""
    split = evidence.monitored
    level = constant_loss(evidence, records[0]["stage"]) if records else None
    if level is None or split == "train":
        return []
    piles = [pile for record in records if (pile := _pile(evidence, record, split, level))]
    return piles if len(piles) == len(records) else []


def _pile(evidence: Evidence, record: Record, split: str, level: float) -> Pile | None:
    fractions = list(fractions_of(evidence, [record], split))
    loss = record.get(f"{split}/loss")
    if not fractions or loss is None or not loss > COSTLY * level:
        return None
    fraction = fractions[0]
    if not is_most(fraction):
        return None
    return Pile(record, fraction, class_name(evidence, record["stage"], fraction), float(loss))


def is_most(fraction: Fraction) -> bool:
    return fraction.predicted >= MOST and fraction.predicted - fraction.true >= EXCESS


def class_name(evidence: Evidence, stage: str, fraction: Fraction) -> str:
    return (evidence.metadata_of(stage).class_names or ())[fraction.class_index]


def fractions_of(evidence: Evidence, records: Sequence[Record], split: str) -> Iterator[Fraction]:
    """The largest fraction of the predictions on a split, of each epoch that recorded it."""
    for record in records:
        counts = evidence.metadata_of(record["stage"]).splits[split].class_counts or (0,)
        found: dict[str, Any] = (record.get("predicted") or {}).get(split) or {}
        if {"largest_fraction", "largest_class"} <= found.keys():
            largest, total = int(found["largest_class"]), sum(counts)
            true = counts[largest] / total if total and largest < len(counts) else 0.0
            yield Fraction(split, largest, float(found["largest_fraction"]), true, total)
