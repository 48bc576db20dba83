"""Rules on what a model answers before it has learnt anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_records import begins_untrained, epoch_of, models
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record

# autograd's names; a log-softmax is none of them: the softmax within the loss leaves it as it is
PROBABILITIES = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Hardsigmoid": "sigmoid"}
TORCH_GAIN = 3**-0.5  # of nn.Linear as torch draws it: uniform within 1 / root of its inputs
BOUNDED = {"Tanh": "tanh", "Relu": "ReLU", "Hardtanh": "clamp", "Clamp": "clamp"}


@dataclass(frozen=True, kw_only=True)
class ProbabilitiesBeforeLoss(Rule):
    """A model that squashes its answers before a loss that does so itself.

    Told by the operation that made the outputs, or by rows of numbers in [0, 1] that sum to 1,
    which 8 samples of logits never do.
    """

    tolerance: Annotated[float, Gt(0)] = 1e-3

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            squashed = self._squashed_by(record)
            if squashed is not None and takes_logits(evidence, record["stage"]):
                yield self._finding(record, squashed)
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

    def _finding(self, record: Record, squashed: str) -> Finding:
        outputs = record["outputs"]
        return Finding(
            severity="warning",
            sentence=f"the model's last step is a {squashed}, and the loss takes logits: answers "
            f"lie between {outputs['min']:.3g} and {outputs['max']:.3g}",
            evidence={
                "last_operation": record.get("last_operation"),
                "lowest_answer": outputs["min"],
                "highest_answer": outputs["max"],
                "smallest_row_sum": outputs["row_sum_min"],
                "largest_row_sum": outputs["row_sum_max"],
            },
            cause="cross-entropy applies its own softmax: answers that are already squashed keep "
            "the loss high and its gradient small, whatever the model learns",
            command=f"take the {squashed} out of the model's forward, then train again",
            stage=record["stage"],
            epoch=epoch_of(record),
        )


def takes_logits(evidence: Evidence, stage: str) -> bool:
    """Whether the loss is at home with any numbers: at large right ones it is finite and low."""
    if evidence.facts.task != "classification":
        return False
    for record in [*evidence.of_kind("loss", stage), *evidence.of_kind("loss")]:
        if record.get("error") or record.get("at_uniform") is None:
            return False
        # of probabilities, the loss would be infinite at zero and negative at ten
        return bool(0 < record["at_uniform"] < float("inf") and record["at_right"] >= 0)
    return str(evidence.config["loss"]["_target_"]).startswith("expkit.losses.")


@dataclass(frozen=True, kw_only=True)
class InitialLoss(Rule):
    """A first loss far above that of a model that says nothing.

    Random answers with standard deviation s raise it by s^2 / 2 at first, by s later; a sound last
    layer has s below 1. Some well-known nets draw theirs larger (timm's EfficientNets start 1 to
    5 above, its MNASNet 13), and learn: they are told, and no more.
    """

    excess: Annotated[float, Gt(0)] = 1.5  # nats: s of 1.7
    relative_excess: Annotated[float, Gt(0)] = 0.5  # of the expected loss, where that is more
    costly_excess: Annotated[float, Gt(0)] = 20.0  # nats: no well-known net is above 13
    largest_gain: Annotated[float, Gt(0)] = 30.0  # of the last layer: torch's own 0.6, timm's to 22

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            loss, expected = record["loss"], record.get("expected_loss")
            if expected is None or not begins_untrained(evidence, record):
                continue
            bound = expected + max(self.excess, self.relative_excess * expected)
            if bound < loss < float("inf"):
                yield self._finding(record, loss, expected)
                return

    def _finding(self, record: Record, loss: float, expected: float) -> Finding:
        gain = gain_of_last(record)
        is_costly = loss > expected + self.costly_excess or gain > self.largest_gain
        return Finding(
            severity="warning" if is_costly else "info",
            sentence=f"before the first step the loss is {loss:.3g}, and a model that says "
            f"nothing would have {expected:.3g}",
            evidence={
                "loss": loss,
                "expected_loss": expected,
                "answers_rms": record["outputs"]["rms"],
                "last_layer_gain": gain,
            },
            cause="the last layer starts with answers that are too large: the first epochs are "
            "spent on unlearning them",
            command=f"start the last layer smaller: its weights are {gain / TORCH_GAIN:.2g} times "
            "as large as torch draws them",
            stage=record["stage"],
        )


def gain_of_last(record: Record) -> float:
    """The last layer's weight (rms) times the root of its inputs: what it does to their size."""
    weights = [row for row in record["parameters"] if row["kind"] == "weight"]
    num_outputs = record["layers"][-1].get("units") if record["layers"] else None
    if not weights or not num_outputs:
        return 0.0
    gain: float = weights[-1]["weight_rms"] * (weights[-1]["size"] / num_outputs) ** 0.5
    return gain
