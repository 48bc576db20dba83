"""One class predicted for everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.predicted_fractions import (
    Fraction,
    class_name,
    fractions_of,
    is_most,
    piles_of,
)
from expkit.diagnosis.remedies import lower_lr, ways_to_redraw
from expkit.diagnosis.rule import Rule
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions


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
            if len(predictions.targets):
                yield from self._evaluated(evidence, Fraction.of(predictions), predictions)
            return
        for stage in evidence.trainings[-1:]:
            yield from self._during(evidence, stage)

    def _during(self, evidence: Evidence, stage: str) -> Iterable[Finding]:
        is_over = evidence.result(stage) is not None
        for split in dict.fromkeys([evidence.monitored, "train"]):
            records = evidence.of_kind("epoch", stage)
            fractions = [*fractions_of(evidence, records, split)] or _guessed_fractions(
                evidence, stage, split
            )
            alike = list(itertools.takewhile(self._is_collapse, reversed(fractions)))
            if not alike or len({fraction.class_index for fraction in alike}) > 1:
                continue
            has_ended = is_over and len(alike) >= self.min_last_epochs
            if has_ended or self._lasts(evidence, stage, len(alike)):
                yield self._under_way(evidence, alike[0], stage, len(alike), is_over=has_ended)
                return
        for pile in piles_of(evidence, evidence.of_kind("epoch", stage)[-1:]):
            found = pile.fraction
            right = float(pile.record.get(f"{found.split}/accuracy", math.nan))
            majority = evidence.metadata_of(stage).majority_accuracy(found.split)
            if found.count >= self.min_samples and is_no_better(right, majority, found.count):
                yield self._under_way(evidence, found, stage)

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
        self, evidence: Evidence, fraction: Fraction, predictions: ClassPredictions
    ) -> Iterable[Finding]:
        """The finding on recorded predictions; where only most are alike, beside the last epoch."""
        import numpy as np

        is_all = self._is_collapse(fraction)
        accuracy = float((predictions.ranks == 0).mean())
        majority = float(np.bincount(predictions.targets).max() / len(predictions.targets))
        is_mostly = is_most(fraction) and is_no_better(accuracy, majority, fraction.count)
        if not is_all and (fraction.count < self.min_samples or not is_mostly):
            return
        num_epochs = sum(len(evidence.epochs(name)) for name in evidence.trainings)
        yield self._finding(
            evidence,
            fraction,
            name=str(predictions.class_names[fraction.class_index]),
            accuracy=accuracy,
            majority=majority,
            is_over=is_all and num_epochs >= self.min_trained_epochs,
            stage="" if is_all else next(reversed(evidence.trainings), ""),
        )

    def _under_way(
        self,
        evidence: Evidence,
        fraction: Fraction,
        stage: str,
        num_epochs: int | None = None,
        *,
        is_over: bool = False,
    ) -> Finding:
        return self._finding(
            evidence,
            fraction,
            name=class_name(evidence, stage, fraction),
            accuracy=float(evidence.epochs(stage)[-1].get(f"{fraction.split}/accuracy", math.nan)),
            majority=evidence.metadata_of(stage).majority_accuracy(fraction.split),
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
        records = evidence.of_kind("epoch", stage) if stage else []
        trained = [*fractions_of(evidence, records, "train")]
        is_all = self._is_collapse(fraction)
        varied = self.varied_fraction if is_all else fraction.predicted / 2
        is_varied = bool(trained) and trained[-1].predicted < varied
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


def is_no_better(accuracy: float, majority: float | None, count: int) -> bool:
    """Tell whether an accuracy is not proven above that of always predicting the largest class."""
    if majority is None or not math.isfinite(accuracy):
        return False
    found = wilson(round(accuracy * count), count)
    return found is not None and found[0] <= majority


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
