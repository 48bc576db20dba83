"""Held-out samples that do better than those trained on."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Lt

from expkit.diagnosis.curves import last_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.metrics.predictions import ClassPredictions


@dataclass(frozen=True)
class Gap:
    """The accuracies of train and of a held-out split, and how far they are apart."""

    split: str
    train: float
    held_out: float
    num_train: int
    num_held_out: int

    @property
    def size(self) -> float:
        return self.held_out - self.train

    @property
    def sigmas(self) -> float:
        """The gap in standard errors, as if both accuracies were equal: that is what is doubted."""
        total = self.num_train + self.num_held_out
        fraction = (self.train * self.num_train + self.held_out * self.num_held_out) / total
        error = math.sqrt(fraction * (1 - fraction) * (1 / self.num_train + 1 / self.num_held_out))
        return self.size / error if error > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class HeldOutBetterThanTrain(Rule):
    """The net does better, and not by chance, on samples that it has not seen."""

    needs: ClassVar[str | None] = "held-out outputs"
    min_sigmas: Annotated[float, Gt(0)] = 3.0
    min_gap: Annotated[float, Gt(0), Lt(1)] = 0.02
    min_epochs: Annotated[int, Ge(3)] = 5

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        gap, is_evaluated = _gap_in_predictions(evidence), True
        if gap is None:
            gap, is_evaluated = self._gap_in_epochs(evidence), False
        if gap is None or gap.size < self.min_gap or gap.sigmas < self.min_sigmas:
            return
        held_back = [] if is_evaluated else _held_back_by(evidence)
        yield self.finding(
            "held_back" if held_back else "easier",
            {
                "train": gap.train,
                gap.split: gap.held_out,
                "standard errors apart": gap.sigmas,
                "training samples": gap.num_train,
                "held-out samples": gap.num_held_out,
                "measured": "standing still" if is_evaluated else "while training",
            },
            split=gap.split,
            held_out=gap.held_out,
            settings=", ".join(held_back),
        )

    def _gap_in_epochs(self, evidence: Evidence) -> Gap | None:
        """The gap over the last three epochs of a stage that has ended."""
        split, curves = evidence.monitored, last_curves(evidence, is_over=True)
        if curves is None or split == "train" or not evidence.has_plain_accuracy(curves.stage):
            return None
        train, held_out = curves.column("train/accuracy"), curves.column(f"{split}/accuracy")
        if len(train) < self.min_epochs or len(held_out) < self.min_epochs:
            return None
        # a training figure is the mean over its epoch: it belongs between two held-out ones
        between = [(a + b) / 2 for a, b in zip(held_out[-4:], held_out[-3:], strict=False)]
        splits = evidence.metadata.splits
        return Gap(
            split,
            statistics.fmean(train[-3:]),
            statistics.fmean(between),
            splits["train"].num_samples,
            splits[split].num_samples,
        )


def _gap_in_predictions(evidence: Evidence) -> Gap | None:
    """The gap between the recorded predictions: the same weights made both."""
    split = evidence.metadata.judged_split
    train, held_out = evidence.predictions.get("train"), evidence.predictions.get(split)
    if split == "train" or not evidence.metadata.has_training_samples:
        return None
    if not isinstance(train, ClassPredictions) or not isinstance(held_out, ClassPredictions):
        return None
    if not len(train.targets) or not len(held_out.targets):
        return None
    return Gap(
        split,
        float((train.ranks == 0).mean()),
        float((held_out.ranks == 0).mean()),
        len(train.targets),
        len(held_out.targets),
    )


def _held_back_by(evidence: Evidence) -> list[str]:
    """The settings that work on training samples alone."""
    config, found = evidence.config, []
    if any("drop" in str(key) and value for key, value in config["model"].items()):
        found.append("dropout")
    augment = config["augment"]
    if augment.get("transforms"):
        found.append("augmentation")
    if augment.get("mixup_alpha") or augment.get("cutmix_alpha"):
        found.append("mixed images")
    stages = [evidence.stage_config(name) for name in evidence.trainings]
    if any(stage.get("balanced_sampling") for stage in stages):
        found.append("balanced sampling")
    if any(stage.get("ema_decay") or stage.get("swa_epochs") for stage in stages):
        found.append("not having its weights averaged yet")
    return found
