"""Rules on the model's inputs: their scale, and whether they are finite."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.sampling import above_chance, normalize_remedy, splits_of
from expkit.metrics.percentages import percent

MOST_USUAL = 5.0  # spread of the inputs: bytes are the model's to scale


def _inputs(evidence: Evidence) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The last probe of the model, and what it says of its inputs; empty where there was none."""
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
            yield Finding(
                severity="fatal",
                sentence=f"{inputs['non_finite']} input numbers of the first samples are NaN or "
                "infinite",
                evidence={"non_finite": inputs["non_finite"], "num_samples": record["num_samples"]},
                cause="a division by a std of zero, or a transform out of its range",
                remedies=normalize_remedy(evidence),
                command="" if normalize_remedy(evidence) else "look at what normalizes the images",
                stage=record["stage"],
                epoch=record["epoch"],
            )


@dataclass(frozen=True, kw_only=True)
class UnscaledInputs(Rule):
    """Inputs as large as bytes: fine for a net that norms them, and a slow start for others."""

    most_std: Annotated[float, Gt(0)] = 20.0  # inputs of a usual scale have 0.2 to 1.5
    most_mean: Annotated[float, Gt(0)] = 50.0
    enough_learnt: Annotated[float, Gt(0)] = 0.2  # of the way from the majority to all right
    soon: Annotated[int, Gt(0)] = 3  # epochs
    high_loss: Annotated[float, Gt(1)] = (
        3.0  # of the first loss to that of a net that knows nothing
    )

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        record, inputs = _inputs(evidence)
        if not inputs or (inputs["std"] <= self.most_std and abs(inputs["mean"]) <= self.most_mean):
            return
        trouble = self._trouble(evidence, record)
        yield Finding(
            severity="warning" if trouble else "info",
            sentence=f"the inputs reach the net with a mean of {inputs['mean']:.3g} and a spread "
            f"of {inputs['std']:.3g}" + (f", and {trouble}" if trouble else ""),
            evidence={
                "mean": inputs["mean"],
                "std": inputs["std"],
                "min": inputs.get("min"),
                "max": inputs.get("max"),
                "batch_norms": record.get("batch_norms"),
            },
            cause="the images are not normalized: the first layer's outputs and gradients are a "
            "hundred times as large as its initialization is meant for",
            remedies=normalize_remedy(evidence),
            command="" if normalize_remedy(evidence) else "scale the inputs to a std of about 1",
            stage=record["stage"],
        )

    def _trouble(self, evidence: Evidence, record: Mapping[str, Any]) -> str:
        """What goes badly; a net with batch norm does not mind, and a run that learns neither."""
        if record.get("batch_norms"):
            return ""
        for stage in evidence.gates:
            result = evidence.result(stage)
            if result is not None and not result.passed:
                return f"the gate {stage} is not passed"
        for stage in evidence.trainings:
            epochs = evidence.epochs(stage)
            if any(not math.isfinite(each.get("train/loss", 0)) for each in epochs):
                return "the loss is not finite"
            majority = evidence.metadata_of(stage).majority_accuracy("train")
            if majority is None or len(epochs) < self.soon:
                continue
            best = max(each.get("train/accuracy", 1) for each in epochs)
            if above_chance(best, majority) < self.enough_learnt:
                return (
                    f"{len(epochs)} epochs have brought training accuracy to "
                    f"{percent(best, 1)} only"
                )
        return "" if evidence.trainings else self._high_start(record)

    def _high_start(self, record: Mapping[str, Any]) -> str:
        expected, loss = record.get("expected_loss"), record.get("loss")
        if expected and loss is not None and not loss <= self.high_loss * expected:
            return f"the first loss is {loss:.3g}, where knowing nothing costs {expected:.3g}"
        return ""


@dataclass(frozen=True, kw_only=True)
class InputsScaledTwice(Rule):
    """Inputs next to nothing: images in [0, 1] that were divided by 255 once more."""

    least_std: Annotated[float, Gt(0)] = 0.02  # dark images in [0, 1] have 0.05
    # What the first layer passes on, a unit of weight and of input: 0.09 to 5, divided by 255 less.
    least_passed_on: Annotated[float, Gt(0)] = 0.025
    least_varying: Annotated[float, Gt(0)] = 0.05  # of the first layer's outputs; else it is bias
    fewest_ones: Annotated[float, Gt(0)] = 0.02  # share: a mask has more

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        train = splits_of(evidence).get("train")
        is_constant = train is not None and len(train["constant_channels"]) == len(train["mean"])
        if is_constant:
            return
        record, inputs = _inputs(evidence)
        std = inputs.get("std", self._std_by(evidence))
        is_zeros = (
            train is not None and max(train["max"]) <= 1 and max(train["mean"]) < self.fewest_ones
        )
        if std is not None and std < self.least_std:
            yield _tiny(evidence, float(std), record.get("stage", ""))
        elif record and (weakened := self._weakened(record)):
            yield weakened
        elif train is not None and is_zeros:
            yield Finding(
                severity="warning",
                sentence=f"the images hold 0 and 1 alone, and {percent(max(train['mean']))} ones",
                evidence={
                    "max": train["max"],
                    "mean": train["mean"],
                    "levels": train["num_levels"],
                },
                cause="they were scaled to 0 to 1 before they became bytes, which kept white alone",
                command="save the images as 0 to 255",
            )

    def _weakened(self, record: Mapping[str, Any]) -> Finding | None:
        """Inputs of a usual scale that the first layer hardly knows: the model divides them too."""
        layer, passed_on = _passed_on(record)
        std = record["inputs"]["std"]
        if passed_on is None or std >= MOST_USUAL or passed_on >= self.least_passed_on:
            return None
        return Finding(
            severity="warning" if layer["relative_std"] < self.least_varying else "info",
            sentence=f"the inputs have a std of {std:.2g}, but the first layer, "
            f"{layer['name']}, passes on {passed_on:.2g} of it: it sees almost nothing",
            evidence={
                "std": std,
                "passed_on": passed_on,
                "first_layer": layer["name"],
                "first_layer_rms": layer["rms"],
                "first_layer_relative_std": layer["relative_std"],
            },
            cause="the model scales its inputs once more (divides them by 255)",
            command="let either the data or the model scale the images, not both",
            stage=record["stage"],
        )

    def _std_by(self, evidence: Evidence) -> float | None:
        """What the config makes of the images' spread, where no probe has seen the inputs."""
        train = splits_of(evidence).get("train")
        if train is None or evidence.config["dataset"].get("normalise") != "unit":
            return None
        means = train["mean"]
        overall = sum(means) / len(means)
        squares = [s**2 + (m - overall) ** 2 for s, m in zip(train["std"], means, strict=True)]
        return math.sqrt(sum(squares) / len(squares)) / 255


def _passed_on(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None]:
    """The first layer, and how its outputs vary with the sample, a unit of weight and of input."""
    layers = record.get("layers") or [{}]
    layer: Mapping[str, Any] = layers[0]
    weights = {each["name"]: each["weight_rms"] for each in record.get("parameters", ())}
    weight, std = weights.get(f"{layer.get('name')}.weight"), record["inputs"]["std"]
    is_linear = str(layer.get("type")).startswith(("Conv", "Linear"))
    if not (is_linear and weight and std and layer["rms"]):
        return layer, None
    passed_on = layer["rms"] * layer["relative_std"] / (weight * std)
    return layer, passed_on if math.isfinite(passed_on) else None


def _tiny(evidence: Evidence, std: float, stage: str) -> Finding:
    train = splits_of(evidence).get("train", {})
    return Finding(
        severity="warning",
        sentence=f"the inputs reach the net with a std of {std:.2g}: it sees almost nothing",
        evidence={"std": std, **({"max_byte": train["max"]} if train else {})},
        cause="the images were scaled to 0 to 1, and then once more, or they are almost black",
        remedies=normalize_remedy(evidence),
        command="" if normalize_remedy(evidence) else "save the images as 0 to 255",
        stage=stage,
    )
