"""A net that could not even learn its training samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import TrainingCurves, last_curves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import FailedGate, failed_gates
from expkit.diagnosis.figures import slope
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.remedies import wider
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.settings import lr_of


@dataclass(frozen=True, kw_only=True)
class Underfitting(Rule):
    """Even the training samples were hardly learnt, and the loss fell no more at the end."""

    min_epochs: Annotated[int, Ge(1)] = 10
    max_way: Annotated[float, Gt(0), Le(1)] = 0.25
    max_fall: Annotated[float, Gt(0), Le(1)] = 0.02
    max_narrow_way: Annotated[float, Gt(0), Le(1)] = 0.8
    max_narrow_fall: Annotated[float, Gt(0), Le(1)] = 0.15
    min_gate_steps: Annotated[int, Ge(1)] = 100
    max_gate_narrowness: Annotated[float, Gt(0)] = 2.0
    max_gate_fall: Annotated[float, Gt(0), Le(1)] = 0.15
    min_gate_gain: Annotated[float, Gt(0), Le(1)] = 0.02

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        found = (self._judge_gate(gate) for gate in failed_gates(evidence))
        at_gate = next((each for each in found if each is not None), None)
        if at_gate is not None:
            yield at_gate
            return
        curves = last_curves(evidence)
        if curves is not None and curves.is_over:
            yield from self._judge(curves)

    def _judge(self, curves: TrainingCurves) -> Iterable[Finding]:
        evidence = curves.evidence
        majority = evidence.metadata_of(curves.stage).majority_accuracy("train")
        losses, accuracies = curves.column("train/loss"), curves.column("train/accuracy")
        if len(losses) < self.min_epochs or majority is None or not accuracies:
            return
        held_out = curves.column(f"{curves.split}/accuracy")
        # augmentation and dropout lower the training figure alone: the better one counts
        reached = max(statistics.fmean(each[-3:]) for each in (accuracies, held_out) if each)
        third = losses[-(len(losses) // 3) :]
        fall = -slope(third) * len(third) / max(abs(statistics.fmean(third)), 1e-12)
        way = (reached - majority) / (1 - majority) if majority < 1 else 1.0
        is_narrow = narrowness(evidence) < 1
        is_stuck = way < self.max_way and fall < self.max_fall
        if is_narrow and way < self.max_narrow_way and fall < self.max_narrow_fall:
            is_stuck = True  # a narrow net creeps on for long
        if not is_stuck:
            return
        features = features_of(evidence)
        yield self.finding(
            "narrow" if is_narrow else "stuck",
            {
                "train/accuracy": reached,
                "largest class": majority,
                "train/loss": losses[-1],
                "fall of the loss in the last third": fall,
                "epochs": curves.num_epochs,
                **({"features of the last layer": features} if features else {}),
            },
            remedies=wider(evidence.config["model"]) if is_narrow else (),
            stage=curves.stage,
            epoch=curves.last_epoch,
            features=features,
        )

    def _judge_gate(self, gate: FailedGate) -> Finding | None:
        """Too few features to keep a few samples apart, at a learning rate that is sound."""
        evidence, ratio = gate.evidence, narrowness(gate.evidence)
        if ratio >= self.max_gate_narrowness or gate.num_steps < self.min_gate_steps:
            return None
        good, lr = estimate(evidence, lr_of(evidence.config)), lr_of(evidence.config)
        if not gate.is_calm or (good is not None and not good / 100 < lr < 3 * good):
            return None
        stands_still = gate.last > (1 - self.max_gate_fall) * gate.halfway
        learns = gate.last < (1 - self.min_gate_gain) * gate.first
        if not learns or not (ratio < 1 or stands_still):
            return None
        return self.finding(
            "gate",
            {
                "features": features_of(evidence),
                "classes": evidence.metadata.num_classes,
                "first_loss": gate.first,
                "last_loss": gate.last,
                "learning_rate": lr,
            },
            remedies=wider(evidence.config["model"]),
            stage=gate.stage,
            epoch=gate.num_steps,
        )


def features_of(evidence: Evidence) -> int | None:
    """The number of features that the last layer is given: its weights by the classes."""
    classes, records = evidence.metadata.num_classes, evidence.of_kind("model")
    if not classes or not records:
        return None
    weights = [row["size"] for row in records[0]["parameters"] if row["kind"] == "weight"]
    last = records[0].get("layers") or [{}]
    if not weights or weights[-1] % classes or last[-1].get("units") != classes:
        return None
    return int(weights[-1] // classes)


def narrowness(evidence: Evidence) -> float:
    """Features of the last layer, beside the binary digits that it takes to number the classes."""
    features, classes = features_of(evidence), evidence.metadata.num_classes
    if features is None or not classes or classes < 3:  # one feature tells two classes apart
        return math.inf
    return features / math.ceil(math.log2(classes))
