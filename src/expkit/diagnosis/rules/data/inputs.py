"""Rules on the model's inputs: their scale, and whether they are finite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.failed_gates import failed_gates
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.recorded_profile import above_chance, splits_of
from expkit.diagnosis.remedies import normalize_inputs
from expkit.diagnosis.rule import Rule


def _inputs(evidence: Evidence) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The last probe of the model, and the inputs in it; empty where there was none."""
    for record in reversed(evidence.of_kind("model")):
        if record.get("inputs"):
            return record, record["inputs"]
    return {}, {}


@dataclass(frozen=True, kw_only=True)
class NonFiniteInputs(Rule):
    """NaN or infinity among the inputs: everything that they touch becomes NaN."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        record, inputs = _inputs(evidence)
        if inputs.get("non_finite"):
            yield self.finding(
                "non_finite",
                {"non_finite": inputs["non_finite"], "num_samples": record["num_samples"]},
                remedies=normalize_inputs(evidence),
                stage=record["stage"],
                epoch=record["epoch"],
            )


@dataclass(frozen=True, kw_only=True)
class UnscaledInputs(Rule):
    """Inputs as large as bytes: fine for a net that norms them, and a slow start for others."""

    most_std: Annotated[float, Gt(0)] = 20.0
    most_mean: Annotated[float, Gt(0)] = 50.0
    enough_learnt: Annotated[float, Gt(0)] = 0.2
    soon: Annotated[int, Gt(0)] = 3
    high_loss: Annotated[float, Gt(1)] = 3.0

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        record, inputs = _inputs(evidence)
        if not inputs or (inputs["std"] <= self.most_std and abs(inputs["mean"]) <= self.most_mean):
            return
        case, values = self._trouble(evidence, record) or ("harmless", {})
        yield self.finding(
            case,
            {
                "mean": inputs["mean"],
                "std": inputs["std"],
                "min": inputs.get("min"),
                "max": inputs.get("max"),
                "batch_norms": record.get("batch_norms"),
            },
            remedies=normalize_inputs(evidence),
            stage=record["stage"],
            parts={"inputs": True},
            **values,
        )

    def _trouble(
        self, evidence: Evidence, record: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]] | None:
        """The case of a run that goes badly; a net with batch norm does not mind such inputs."""
        if record.get("batch_norms"):
            return None
        for gate in failed_gates(evidence):
            return "lost_gate", {"gate": gate.stage}
        for stage in evidence.trainings:
            epochs = evidence.epochs(stage)
            if any(not math.isfinite(each.get("train/loss", 0)) for each in epochs):
                return "non_finite_loss", {}
            majority = evidence.metadata_of(stage).majority_accuracy("train")
            if majority is None or len(epochs) < self.soon:
                continue
            best = max(each.get("train/accuracy", 1) for each in epochs)
            if above_chance(best, majority) < self.enough_learnt:
                return "hardly_learnt", {"num_epochs": len(epochs), "accuracy": best}
        return None if evidence.trainings else self._high_start(record)

    def _high_start(self, record: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
        expected, loss = record.get("expected_loss"), record.get("loss")
        if expected and loss is not None and not loss <= self.high_loss * expected:
            return "high_first_loss", {"loss": loss, "expected": expected}
        return None


@dataclass(frozen=True, kw_only=True)
class InputsScaledTwice(Rule):
    """Inputs next to nothing: images in [0, 1] that were divided by 255 once more."""

    least_std: Annotated[float, Gt(0)] = 0.02  # dark images in [0, 1] have 0.05
    most_usual_std: Annotated[float, Gt(0)] = 5.0
    # A unit of weight and of input: 0.09 to 5, divided by 255 less.
    least_passed_on: Annotated[float, Gt(0)] = 0.025
    least_varying: Annotated[float, Gt(0)] = 0.05
    fewest_ones: Annotated[float, Gt(0)] = 0.02

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        train = splits_of(evidence).get("train")
        is_constant = train is not None and len(train["constant_channels"]) == len(train["mean"])
        if is_constant:
            return
        record, inputs = _inputs(evidence)
        std = inputs.get("std", self._std_by_config(evidence))
        is_zeros = (
            train is not None and max(train["max"]) <= 1 and max(train["mean"]) < self.fewest_ones
        )
        if std is not None and std < self.least_std:
            yield self.finding(
                "next_to_nothing",
                {"std": float(std), **({"max_byte": train["max"]} if train else {})},
                remedies=normalize_inputs(evidence),
                stage=record.get("stage", ""),
            )
        elif record and (weakened := self._weakened(record)):
            yield weakened
        elif train is not None and is_zeros:
            numbers = {"max": train["max"], "mean": train["mean"], "levels": train["num_levels"]}
            yield self.finding("zeros_and_ones", numbers, ones=max(train["mean"]))

    def _weakened(self, record: Mapping[str, Any]) -> Finding | None:
        """The finding of usual inputs that hardly pass the first layer: the model scales, too."""
        layer, passed_on = _passed_on(record)
        std = record["inputs"]["std"]
        if passed_on is None or std >= self.most_usual_std or passed_on >= self.least_passed_on:
            return None
        return self.finding(
            "by_the_model",
            {
                "std": std,
                "passed_on": passed_on,
                "first_layer": layer["name"],
                "first_layer_rms": layer["rms"],
                "first_layer_relative_std": layer["relative_std"],
            },
            severity="warning" if layer["relative_std"] < self.least_varying else "info",
            stage=record["stage"],
        )

    def _std_by_config(self, evidence: Evidence) -> float | None:
        """The std that the config gives the images, where no probe has seen the inputs."""
        train = splits_of(evidence).get("train")
        if train is None or evidence.config["dataset"].get("normalize") != "unit":
            return None
        means = train["mean"]
        overall = sum(means) / len(means)
        squares = [s**2 + (m - overall) ** 2 for s, m in zip(train["std"], means, strict=True)]
        return math.sqrt(sum(squares) / len(squares)) / 255


def _passed_on(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None]:
    """The first layer, and its outputs' std across samples, a unit of weight and of input."""
    layers = record.get("layers") or [{}]
    layer: Mapping[str, Any] = layers[0]
    weights = {each["name"]: each["weight_rms"] for each in record.get("parameters", ())}
    weight, std = weights.get(f"{layer.get('name')}.weight"), record["inputs"]["std"]
    is_linear = str(layer.get("type")).startswith(("Conv", "Linear"))
    if not (is_linear and weight and std and layer["rms"]):
        return layer, None
    passed_on = layer["rms"] * layer["relative_std"] / (weight * std)
    return layer, passed_on if math.isfinite(passed_on) else None
