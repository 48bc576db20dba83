"""One class predicted for everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent
from expkit.metrics.predictions import ClassPredictions


@dataclass(frozen=True)
class Fraction:
    """How much of a split's predictions one class got, and how much of its samples it has."""

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
    # beyond its own samples: where one class has 90 % of them, a good net predicts it that often
    min_excess: Annotated[float, Gt(0), Le(1)] = 0.1
    min_samples: Annotated[int, Ge(1)] = 20  # of fewer, one class for all may be chance
    # a slow start predicts one class too: so many epochs in a row, and no loss that falls
    min_epochs: Annotated[int, Ge(1)] = 8
    min_epochs_fraction: Annotated[float, Gt(0), Le(1)] = 0.2
    max_epochs: Annotated[int, Ge(1)] = 15
    max_loss_fall: Annotated[float, Gt(0), Le(1)] = 0.01

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        if (evidence.metadata.num_classes or 0) < 2:
            return
        predictions = evidence.predictions.get(evidence.metadata.judged_split)
        if isinstance(predictions, ClassPredictions):
            if len(predictions.targets) and self._is_collapse(fraction := Fraction.of(predictions)):
                epochs = sum(len(evidence.epochs(name)) for name in evidence.trainings)
                yield self._tell(evidence, fraction, is_over=epochs >= 5, evaluated=True)
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
            if is_over and len(alike) >= 3:
                yield self._tell(evidence, alike[0], stage, len(alike), is_over=True)
                return
            if self._lasts(evidence, stage, len(alike)):
                yield self._tell(evidence, alike[0], stage, len(alike))
                return

    def _is_collapse(self, fraction: Fraction) -> bool:
        if fraction.count < self.min_samples or fraction.predicted < self.min_fraction:
            return False
        others = (1 - fraction.true) * fraction.count
        is_total = fraction.predicted == 1 and others >= 5
        return fraction.predicted - fraction.true >= self.min_excess or is_total

    def _lasts(self, evidence: Evidence, stage: str, num_epochs: int) -> bool:
        """Tell whether equal epochs are no slow start: the loss stands still at full rate."""
        max_epochs = int(evidence.stage_config(stage)["max_epochs"])
        needed = max(self.min_epochs, math.ceil(self.min_epochs_fraction * max_epochs))
        needed = min(needed, self.max_epochs)
        warmup = float(evidence.config["schedule"].get("warmup_epochs") or 0.0)
        losses = column(evidence.epochs(stage)[math.ceil(warmup) :][-needed:], "train/loss")
        if num_epochs < needed or len(losses) < needed:
            return False
        # the first epoch's mean still holds the untrained net's loss
        return losses[1] - losses[-1] < self.max_loss_fall * abs(losses[1])

    def _tell(
        self,
        evidence: Evidence,
        fraction: Fraction,
        stage: str = "",
        num_epochs: int = 0,
        *,
        is_over: bool = False,
        evaluated: bool = False,
    ) -> Finding:
        name = _name_of(evidence, fraction, stage)
        since = "" if evaluated else f" for {num_epochs} epochs"
        epochs = evidence.epochs(stage)
        return Finding(
            # where the data itself is nearly one class, that is all a net may find
            severity="fatal" if is_over and fraction.true < 0.9 else "warning",
            sentence=f"{percent(fraction.predicted)} of the predictions on {fraction.split} are "
            f"'{name}'{since}; {_told(evidence, fraction, stage)}",
            evidence={
                "split": fraction.split,
                "class": name,
                "fraction of predictions": fraction.predicted,
                "fraction of samples": fraction.true,
                "samples of the class": round(fraction.true * fraction.count),
                "samples": fraction.count,
                **_figures(evidence, fraction, stage),
                **({} if evaluated else {"epochs": num_epochs}),
            },
            cause=_cause(evidence, stage, fraction.split),
            remedies=_remedies(evidence),
            stage=stage,
            epoch=int(epochs[-1]["epoch"]) if epochs else None,
        )


def _name_of(evidence: Evidence, fraction: Fraction, stage: str) -> str:
    predictions = evidence.predictions.get(fraction.split)
    if not stage and isinstance(predictions, ClassPredictions):
        return str(predictions.class_names[fraction.class_index])
    return (evidence.metadata_of(stage).class_names or ())[fraction.class_index]


def _figures(evidence: Evidence, fraction: Fraction, stage: str) -> dict[str, float]:
    """The accuracy beside that of the largest class, as far as they are recorded."""
    majority = evidence.metadata_of(stage).majority_accuracy(fraction.split)
    predictions = evidence.predictions.get(fraction.split)
    accuracy = math.nan
    if not stage and isinstance(predictions, ClassPredictions):
        accuracy = float((predictions.ranks == 0).mean())
        majority = float(max(_counts(predictions)) / len(predictions.targets))
    elif stage:
        accuracy = float(evidence.epochs(stage)[-1].get(f"{fraction.split}/accuracy", math.nan))
    found = {"accuracy": accuracy, "largest class's fraction": majority}
    return {k: v for k, v in found.items() if v is not None and math.isfinite(v)}


def _counts(predictions: ClassPredictions) -> list[int]:
    import numpy as np

    return [int(count) for count in np.bincount(predictions.targets)]


def _told(evidence: Evidence, fraction: Fraction, stage: str) -> str:
    """Return how many of the samples that is right for, beside the largest class."""
    figures = _figures(evidence, fraction, stage)
    if len(figures) < 2:
        return f"{percent(fraction.true)} of its samples are"
    accuracy, majority = figures.values()
    told = f"its accuracy, {percent(accuracy)}, is "
    if abs(accuracy - majority) < 0.5 / fraction.count:
        return told + "exactly that of always predicting the largest class"
    if accuracy < majority:
        return told + f"below that of always predicting the largest class, {percent(majority)}"
    return (
        told + f"that of always predicting the largest class, {percent(majority)}, or hardly more"
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
    """Told from accuracies alone, as old runs have them: each equal to one class's very share.

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


def _cause(evidence: Evidence, stage: str, split: str) -> str:
    trained = _recorded_fractions(evidence, stage, "train") if stage else []
    if split != "train" and trained and trained[-1].predicted < 0.9:
        return (
            f"the net predicts so on {split} alone: in evaluation it works otherwise than in "
            "training (batch norm's statistics), or that split is prepared otherwise"
        )
    return (
        "the outputs hardly depend on the image, so that the most frequent or the first "
        "class wins: the features collapsed, the learning rate was too high, or nothing was learnt"
    )


def _remedies(evidence: Evidence) -> Sequence[Sequence[str]]:
    config = evidence.config
    groups = []
    start = []
    if config["model"].get("init") == "default":
        start.append("model.init=kaiming")
    if config["dataset"].get("normalise") in ("none", "unit"):
        start.append("dataset.normalise=dataset")
    if start:
        groups.append(start)
    lr = config["optimizer"].get("lr")
    if isinstance(lr, float | int):
        groups.append([f"optimizer.lr={lr / 10:g}"])
    counts = [count for count in evidence.metadata.splits["train"].class_counts or () if count]
    loss = config["loss"]
    if counts and max(counts) >= 3 * min(counts) and loss.get("class_weights", 0) is None:
        groups.append(["loss.class_weights=balanced"])
    return groups
