"""One class predicted for everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Self

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.remedies import lower_lr, ways_to_redraw
from expkit.diagnosis.rule import Rule
from expkit.metrics.predictions import ClassPredictions


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


@dataclass(frozen=True, kw_only=True)
class PredictsOneClass(Rule):
    """(Almost) all predictions are one class, and its samples are far fewer."""

    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.95
    min_excess: Annotated[float, Gt(0), Le(1)] = 0.1
    min_others: Annotated[int, Ge(1)] = 5
    min_samples: Annotated[int, Ge(1)] = 20
    min_trained_epochs: Annotated[int, Ge(1)] = 5
    min_last_epochs: Annotated[int, Ge(1)] = 3
    min_epochs: Annotated[int, Ge(1)] = 8
    min_epochs_fraction: Annotated[float, Gt(0), Le(1)] = 0.2
    max_epochs: Annotated[int, Ge(1)] = 15
    max_loss_fall: Annotated[float, Gt(0), Le(1)] = 0.01
    natural_fraction: Annotated[float, Gt(0), Le(1)] = 0.9
    varied_fraction: Annotated[float, Gt(0), Le(1)] = 0.9

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if (evidence.metadata.num_classes or 0) < 2:
            return
        predictions = evidence.predictions.get(evidence.metadata.judged_split)
        if isinstance(predictions, ClassPredictions):
            if len(predictions.targets) and self._is_collapse(fraction := Fraction.of(predictions)):
                epochs = sum(len(evidence.epochs(name)) for name in evidence.trainings)
                yield self._evaluated(evidence, fraction, predictions, num_epochs=epochs)
            return
        for stage in evidence.trainings[-1:]:
            yield from self._during(evidence, stage)

    def _during(self, evidence: Evidence, stage: str) -> Iterable[Finding]:
        is_over = evidence.result(stage) is not None
        for split in dict.fromkeys([evidence.monitored, "train"]):
            fractions = _recorded_fractions(evidence, stage, split) or _guessed_fractions(
                evidence, stage, split
            )
            alike = list(itertools.takewhile(self._is_collapse, reversed(fractions)))
            if not alike or len({fraction.class_index for fraction in alike}) > 1:
                continue
            has_ended = is_over and len(alike) >= self.min_last_epochs
            if has_ended or self._lasts(evidence, stage, len(alike)):
                yield self._under_way(evidence, alike[0], stage, len(alike), is_over=has_ended)
                return

    def _is_collapse(self, fraction: Fraction) -> bool:
        if fraction.count < self.min_samples or fraction.predicted < self.min_fraction:
            return False
        others = (1 - fraction.true) * fraction.count
        is_total = fraction.predicted == 1 and others >= self.min_others
        return fraction.predicted - fraction.true >= self.min_excess or is_total

    def _lasts(self, evidence: Evidence, stage: str, num_epochs: int) -> bool:
        """Tell whether equal epochs are no slow start: the loss stands still at full rate."""
        max_epochs = int(evidence.stage_config(stage)["max_epochs"])
        needed = max(self.min_epochs, math.ceil(self.min_epochs_fraction * max_epochs))
        needed = min(needed, self.max_epochs)
        warmup = float(evidence.of_stage(stage).config["schedule"].get("warmup_epochs") or 0.0)
        losses = column(evidence.epochs(stage)[math.ceil(warmup) :][-needed:], "train/loss")
        if num_epochs < needed or len(losses) < needed:
            return False
        # the first epoch's mean still holds the untrained net's loss
        return losses[1] - losses[-1] < self.max_loss_fall * abs(losses[1])

    def _evaluated(
        self,
        evidence: Evidence,
        fraction: Fraction,
        predictions: ClassPredictions,
        *,
        num_epochs: int,
    ) -> Finding:
        import numpy as np

        return self._finding(
            evidence,
            fraction,
            name=str(predictions.class_names[fraction.class_index]),
            accuracy=float((predictions.ranks == 0).mean()),
            majority=float(np.bincount(predictions.targets).max() / len(predictions.targets)),
            is_over=num_epochs >= self.min_trained_epochs,
        )

    def _under_way(
        self, evidence: Evidence, fraction: Fraction, stage: str, num_epochs: int, *, is_over: bool
    ) -> Finding:
        metadata, split = evidence.metadata_of(stage), fraction.split
        return self._finding(
            evidence,
            fraction,
            name=(metadata.class_names or ())[fraction.class_index],
            accuracy=float(evidence.epochs(stage)[-1].get(f"{split}/accuracy", math.nan)),
            majority=metadata.majority_accuracy(split),
            is_over=is_over,
            stage=stage,
            num_epochs=num_epochs,
        )

    def _finding(
        self,
        evidence: Evidence,
        fraction: Fraction,
        *,
        name: str,
        accuracy: float,
        majority: float | None,
        is_over: bool,
        stage: str = "",
        num_epochs: int | None = None,
    ) -> Finding:
        trained = _recorded_fractions(evidence, stage, "train") if stage else []
        is_varied = bool(trained) and trained[-1].predicted < self.varied_fraction
        known = {"accuracy": accuracy, "largest class's fraction": majority}
        known = {k: v for k, v in known.items() if v is not None and math.isfinite(v)}
        gap = accuracy - majority if len(known) == 2 and majority is not None else math.nan
        is_equal = abs(gap) < 0.5 / fraction.count
        epochs = evidence.epochs(stage)
        return self.finding(
            "held_out_alone" if fraction.split != "train" and is_varied else "all",
            {
                "split": fraction.split,
                "class": name,
                "fraction of predictions": fraction.predicted,
                "fraction of samples": fraction.true,
                "samples of the class": round(fraction.true * fraction.count),
                "samples": fraction.count,
                **known,
                **({} if num_epochs is None else {"epochs": num_epochs}),
            },
            severity="fatal" if is_over and fraction.true < self.natural_fraction else "warning",
            remedies=_remedies(evidence),
            parts={
                "since": num_epochs is not None,
                "alone": math.isnan(gap),
                "equal": is_equal,
                "below": gap < 0 and not is_equal,
                "above": gap >= 0 and not is_equal,
            },
            stage=stage,
            epoch=int(epochs[-1]["epoch"]) if epochs else None,
        )


def _recorded_fractions(evidence: Evidence, stage: str, split: str) -> list[Fraction]:
    counts = evidence.metadata_of(stage).splits[split].class_counts or (0,)
    total = sum(counts)
    fractions = []
    for record in evidence.of_kind("epoch", stage):
        found: dict[str, Any] = (record.get("predicted") or {}).get(split) or {}
        if {"largest_fraction", "largest_class"} <= found.keys():
            largest = int(found["largest_class"])
            true = counts[largest] / total if largest < len(counts) else 0.0
            fractions.append(
                Fraction(split, largest, float(found["largest_fraction"]), true, total)
            )
    return fractions


def _guessed_fractions(evidence: Evidence, stage: str, split: str) -> list[Fraction]:
    """The fractions by accuracies alone, as old runs have them: each is one class's very fraction.

    660 right of 1226, epoch after epoch, with 660 samples of the class: nothing else does that.
    """
    counts = evidence.metadata_of(stage).splits[split].class_counts
    if split == "train" or counts is None:
        return []
    total = sum(counts)
    fractions = []
    for record in evidence.epochs(stage):
        right = float(record.get(f"{split}/accuracy", math.nan)) * total
        same = [i for i, count in enumerate(counts) if count > 1 and abs(right - count) < 1e-3]
        predicted = 1.0 if same else 0.0
        index = same[0] if same else 0
        fractions.append(Fraction(split, index, predicted, counts[index] / total, total))
    return fractions


def _remedies(evidence: Evidence) -> list[list[str]]:
    """Another start of the features, a lower learning rate, and balanced classes."""
    evidence = evidence.of_stage(evidence.trainings[-1]) if evidence.trainings else evidence
    remedies = ways_to_redraw(evidence)[:1]
    remedies.append([f"optimizer.lr={lower_lr(evidence):g}"])
    counts = [count for count in evidence.metadata.splits["train"].class_counts or () if count]
    is_uneven = bool(counts) and max(counts) >= 3 * min(counts)
    if is_uneven and evidence.config["loss"].get("class_weights", 0) is None:
        remedies.append(["loss.class_weights=balanced"])
    return remedies
