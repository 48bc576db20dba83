"""A net that could not even learn its training samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.curves import lr_of
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.figures import column, slope
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.lr_estimate import estimate
from expkit.diagnosis.rule import Rule
from expkit.metrics.percentages import percent


@dataclass(frozen=True, kw_only=True)
class Underfitting(Rule):
    """Even the training samples were hardly learnt, and it got no better at the end."""

    min_epochs: Annotated[int, Ge(1)] = 10
    # of the way from always predicting the largest class to all right
    max_way: Annotated[float, Gt(0), Le(1)] = 0.25
    max_fall: Annotated[float, Gt(0), Le(1)] = 0.02  # of the training loss in the last third
    # where the last layer is given fewer features than the classes' numbers have binary digits
    max_narrow_way: Annotated[float, Gt(0), Le(1)] = 0.8
    max_narrow_fall: Annotated[float, Gt(0), Le(1)] = 0.15  # a narrow net creeps on for long

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for gate in evidence.gates:
            if (found := self._judge_gate(evidence, gate)) is not None:
                yield found
                return
        is_narrow = narrowness(evidence) < 1
        for stage in evidence.trainings[-1:]:
            majority = evidence.metadata_of(stage).majority_accuracy("train")
            records = evidence.epochs(stage)
            losses, accuracies = column(records, "train/loss"), column(records, "train/accuracy")
            if evidence.result(stage) is None or len(losses) < self.min_epochs:
                continue
            if majority is None or not accuracies:
                continue
            held_out = column(records, f"{evidence.monitored}/accuracy")
            # augmentation and dropout lower the training figure alone: the better one counts
            reached = max(statistics.fmean(each[-3:]) for each in (accuracies, held_out) if each)
            third = losses[-(len(losses) // 3) :]
            fall = -slope(third) * len(third) / max(abs(statistics.fmean(third)), 1e-12)
            way = (reached - majority) / (1 - majority) if majority < 1 else 1.0
            is_stuck = way < self.max_way and fall < self.max_fall
            if is_narrow and way < self.max_narrow_way and fall < self.max_narrow_fall:
                is_stuck = True
            if is_stuck:
                yield self._tell(evidence, stage, reached, majority, fall)

    def _judge_gate(self, evidence: Evidence, gate: str) -> Finding | None:
        """Too few features to keep a few samples apart, at a rate that is sound."""
        result, ratio = evidence.result(gate), narrowness(evidence)
        losses = [record["train/loss"] for record in evidence.epochs(gate)]
        if result is None or result.passed or ratio >= 2 or len(losses) < 100:
            return None
        if not all(map(math.isfinite, losses)) or max(losses[:20]) > 2 * losses[0]:
            return None
        good, lr = estimate(evidence, lr_of(evidence.config)), lr_of(evidence.config)
        if good is not None and not good / 100 < lr < 3 * good:
            return None
        stands = losses[-1] > 0.85 * losses[len(losses) // 2]
        learns = losses[-1] < 0.98 * losses[0]
        if not learns or not (ratio < 1 or stands):
            return None
        features, classes = features_of(evidence), evidence.metadata.num_classes
        return Finding(
            severity="fatal",
            sentence=f"{gate} ended at a loss of {losses[-1]:.3g} after {len(losses)} steps: its "
            f"last layer is given {features} feature{'s' if features != 1 else ''} to tell "
            f"{classes} classes by",
            evidence={
                "features": features,
                "classes": classes,
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "learning_rate": lr,
            },
            cause="the net is too small: so few features keep hardly more samples apart than that",
            remedies=wider(evidence.config["model"]),
            command="" if wider(evidence.config["model"]) else "choose a larger model",
            stage=gate,
            epoch=len(losses),
        )

    def _tell(
        self, evidence: Evidence, stage: str, reached: float, majority: float, fall: float
    ) -> Finding:
        records, features = evidence.epochs(stage), features_of(evidence)
        is_narrow = narrowness(evidence) < 1
        return Finding(
            severity="warning",
            sentence=f"the training samples were hardly learnt: {percent(reached)} right, the "
            f"largest class is {percent(majority)}, and the loss stands still at "
            f"{records[-1]['train/loss']:.3g}",
            evidence={
                "train/accuracy": reached,
                "largest class": majority,
                "train/loss": records[-1]["train/loss"],
                "fall of the loss in the last third": fall,
                "epochs": len(records),
                **({"features of the last layer": features} if features else {}),
            },
            cause=f"the net is too small: its last layer is given {features} features"
            if is_narrow
            else "the net is too small or held back too much, its learning rate does not fit, or "
            "its "
            "inputs do not tell the classes apart",
            remedies=wider(evidence.config["model"]) if is_narrow else (),
            command=""
            if is_narrow
            else "see what stands in its way: does it learn 10 samples? "
            "expkit train ... procedure=overfit",
            stage=stage,
            epoch=int(records[-1]["epoch"]),
        )


def features_of(evidence: Evidence) -> int | None:
    """Return what the last layer is given: its weights by the number of classes."""
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
    if features is None or not classes or classes < 3:  # two classes are told by one
        return math.inf
    return features / math.ceil(math.log2(classes))


def wider(model: Mapping[str, Any]) -> list[list[str]]:
    """The same net with layers of a usual width, where its config names them."""
    remedies = []
    for key in ("widths", "hidden"):
        widths = model.get(key)
        if isinstance(widths, list | tuple) and widths and min(widths) < 16:
            words = ",".join(str(max(16 * 2**i, width)) for i, width in enumerate(widths))
            remedies.append(f"model.{key}=[{words}]")
    return [remedies] if remedies else []
