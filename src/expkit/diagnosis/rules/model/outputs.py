"""Rules on what a model outputs before it has learnt anything."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.constant_predictor import uniform_loss
from expkit.diagnosis.curves import TrainingCurves
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import gain_of, output_multiplier
from expkit.diagnosis.model_probes import (
    begins_untrained,
    epoch_of,
    models,
)
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record

# autograd's names; a log-softmax is none of them: the softmax within the loss leaves it as it is
PROBABILITIES = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Hardsigmoid": "sigmoid"}
TORCH_GAIN = 3**-0.5  # of nn.Linear as torch draws it: uniform within 1 / root of its inputs
CLAMPS = dict.fromkeys(("Hardtanh", "Clamp", "ClampMin", "ClampMax"), "clamp")
BOUNDED = {"Tanh": "tanh", "Relu": "ReLU", **CLAMPS}
LIMITS = {"softmax": (0.0, 1.0), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class ProbabilitiesBeforeLoss(Rule):
    """A model that squashes its outputs before a loss that does so itself.

    Known by the operation that made the outputs, or by rows of numbers in [0, 1] that sum to 1,
    which 8 samples of logits never do.
    """

    tolerance: Annotated[float, Gt(0)] = 1e-3
    harmless: Annotated[float, Gt(0)] = 0.02

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            squashed = self._squashed_by(record)
            if squashed is None or not takes_logits(evidence, record["stage"]):
                continue
            classes = evidence.metadata_of(record["stage"]).num_classes or 0
            floor = lowest_loss(record, squashed, classes)
            # a clamp against overflow, far out, is no squashing
            if squashed != "clamp" or floor > self.harmless * math.log(max(2, classes)):
                yield self._finding(record, squashed, floor)
                return

    def _squashed_by(self, record: Record) -> str | None:
        operation = record.get("last_operation") or ""
        named = {**PROBABILITIES, **BOUNDED}.get(operation.lstrip("_"))
        if named is not None:
            return named
        outputs = record["outputs"]
        in_range = outputs["min"] >= 0 and outputs["max"] <= 1
        sums = (outputs["row_sum_min"], outputs["row_sum_max"])
        is_softmax = in_range and all(abs(total - 1) <= self.tolerance for total in sums)
        return "softmax" if is_softmax else None

    def _finding(self, record: Record, squashed: str, floor: float) -> Finding:
        outputs = record["outputs"]
        return self.finding(
            "with_a_floor" if floor else "without_a_floor",
            {
                "last_operation": record.get("last_operation"),
                "lowest_cross_entropy": floor,
                "lowest_answer": outputs["min"],
                "highest_answer": outputs["max"],
                "smallest_row_sum": outputs["row_sum_min"],
                "largest_row_sum": outputs["row_sum_max"],
            },
            stage=record["stage"],
            epoch=epoch_of(record),
            squashed=squashed,
        )


def lowest_loss(record: Record, squashed: str, num_classes: int) -> float:
    """Cross-entropy of the most confident prediction that the limits allow."""
    low, high = LIMITS.get(squashed) or record.get("output_limits") or (None, None)
    if low is None or high is None:
        return 0.0
    return math.log1p((num_classes - 1) * math.exp(low - high))


def takes_logits(evidence: Evidence, stage: str) -> bool:
    """Tell whether the loss takes any numbers: at large right ones it is finite and low."""
    if evidence.metadata.task != "classification":
        return False
    for record in [*evidence.of_kind("loss", stage), *evidence.of_kind("loss")]:
        if record.get("error") or record.get("at_uniform") is None:
            return False
        # of probabilities, the loss would be infinite at zero and negative at ten
        return bool(0 < record["at_uniform"] < float("inf") and record["at_right"] >= 0)
    return str(evidence.config["loss"]["_target_"]).startswith("expkit.losses.")


@dataclass(frozen=True, kw_only=True)
class InitialLoss(Rule):
    """A first loss far above that of a model that knows nothing.

    Random outputs with standard deviation s raise it by s^2 / 2 at first, by s later; a sound last
    layer has s below 1. Some well-known nets draw theirs larger (timm's EfficientNets start 1 to
    5 above, its MNASNet 13), and learn: they are reported, and no more.
    """

    excess: Annotated[float, Gt(0)] = 1.5
    relative_excess: Annotated[float, Gt(0)] = 0.5
    costly_excess: Annotated[float, Gt(0)] = 20.0
    largest_gain: Annotated[float, Gt(0)] = 30.0
    usual_outputs: Annotated[float, Gt(0)] = 1.0
    usual_gain: Annotated[float, Gt(0)] = 3.0
    largest_factor: Annotated[float, Gt(0)] = 10.0
    lost_epochs: Annotated[int, Ge(1)] = 2
    first_epoch: Annotated[float, Gt(1)] = 1.5
    # A head drawn a hundredfold bursts to 4.5 times its start, with far too high a rate to 10.
    burst: Annotated[float, Gt(1)] = 8.0

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            loss, expected = record["loss"], record.get("expected_loss")
            if expected is None or not begins_untrained(evidence, record):
                continue
            bound = expected + max(self.excess, self.relative_excess * expected)
            # where outputs are small in eval mode it is dropout that makes them large
            is_last = (
                record["outputs"]["rms"] > self.usual_outputs
                or gain_of_last(record) > self.usual_gain
            )
            if bound < loss < float("inf") and is_last:
                yield self._finding(evidence, record, loss, expected)
                return

    def _lost_epochs(self, evidence: Evidence) -> int:
        """The number of epochs in a row, from the first, that cost more than knowing nothing.

        Where steps drove the loss far above its start, it was not the start that cost them.
        """
        for stage in evidence.trainings[:1]:
            if TrainingCurves(evidence.of_stage(stage), stage).burst > self.burst:
                return 0
            level = uniform_loss(evidence, stage) or math.inf
            losses = [each["train/loss"] for each in evidence.epochs(stage)]
            below = (i for i, loss in enumerate(losses) if not loss > level)
            if losses and losses[0] > self.first_epoch * level:
                return next(below, len(losses))
        return 0

    def _finding(self, evidence: Evidence, record: Record, loss: float, expected: float) -> Finding:
        gain, lost = gain_of_last(record), self._lost_epochs(evidence)
        factor = output_multiplier(record)
        is_costly = loss > expected + self.costly_excess or gain > self.largest_gain
        is_lost = lost >= self.lost_epochs
        return self.finding(
            "multiplied" if factor > self.largest_factor else "large_last_layer",
            {
                "loss": loss,
                "expected_loss": expected,
                "outputs_rms": record["outputs"]["rms"],
                "last_layer_gain": gain,
                "epochs_above": lost,
                "factor": factor,
            },
            severity="warning" if is_costly or is_lost else "info",
            parts={"lost_epochs": is_lost},
            stage=record["stage"],
            times_torchs=gain / TORCH_GAIN,
        )


def gain_of_last(record: Record) -> float:
    """The factor by which the last layer changes the size of its inputs; 0 where it has none."""
    weights = [row for row in record["parameters"] if row["kind"] == "weight"]
    num_outputs = record["layers"][-1].get("units") if record["layers"] else None
    if not weights or not num_outputs:
        return 0.0
    return gain_of(weights[-1], num_outputs)
