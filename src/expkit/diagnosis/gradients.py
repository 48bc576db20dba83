"""Rules on gradients that die out, or grow without bound, on their way back through a net."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from statistics import median
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_records import (
    dies_out,
    hidden_size,
    is_failing,
    is_start,
    start_before,
    ways_to_redraw,
)
from expkit.diagnosis.model_records import (
    begins_untrained,
    epoch_of,
    looks,
    models,
    training_of,
)
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record

LINEAR = ("Linear", "Conv1d", "Conv2d", "Conv3d")
MIN_LAYERS = 4  # of a typical one


def ends(record: Record) -> tuple[float, float, str, str] | None:
    """The largest gradient (rms) in the first and in the last quarter of the weights, with names.

    The largest, since blocks that start as the identity give most of their weights none.
    """
    rows = [
        row
        for row in record["parameters"]
        if row.get("gradient_rms") is not None and row["name"].endswith("weight")
    ]
    if len(rows) < 4:
        return None
    quarter = max(1, len(rows) // 4)
    first, last = _largest(rows[:quarter]), _largest(rows[-quarter:])
    return first["gradient_rms"], last["gradient_rms"], first["name"], last["name"]


def gains_of(record: Record) -> list[float]:
    """What each linear layer does to the size of what it is given: weight (rms) x root of inputs.

    Layers whose answer is not of one unit a row of their weight are left out.
    """
    units = {
        layer["name"]: layer["units"]
        for layer in record["layers"]
        if layer["type"] in LINEAR and layer.get("units")
    }
    named = ((row, units.get(row["name"].removesuffix(".weight"))) for row in record["parameters"])
    return [
        float(row["weight_rms"]) * (row["size"] / count) ** 0.5 for row, count in named if count
    ]


def _largest(rows: Sequence[Record]) -> Record:
    return max(rows, key=lambda row: float(row["gradient_rms"]))


@dataclass(frozen=True, kw_only=True)
class VanishingGradients(Rule):
    """Gradients that reach the first layers as next to nothing.

    Of forty well-known nets the first layers get a third of the last ones' gradient at the least.
    A gradient of exactly zero at the start is a last layer that starts at zero, and sound.
    """

    at_start: Annotated[float, Gt(0)] = 1e-5  # of the last layers' gradient
    at_chance: Annotated[float, Gt(0)] = 1e-3  # of the same, where training learns nothing

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *looks(evidence)]:
            start = start_before(evidence, record)
            if start is not None and is_failing(evidence, record):
                if dies_out(start):
                    yield self._died_out(evidence, start, record)
                    return
                # steps may have freed the gradients again, too late for so few of them
                was = ends(start)
                if was is not None and 0 < was[0] < self.at_chance * was[1] < math.inf:
                    yield self._finding(evidence, record, was)
                    return
            found = ends(record) if "parameters" in record else None
            if found is None or not math.isfinite(found[1]) or found[1] <= 0:
                continue
            ratio = found[0] / found[1]
            bound = self.at_chance if is_failing(evidence, record) else self.at_start
            if (
                ratio < bound
                and (ratio > 0 or not is_start(record))
                and self._may_judge(evidence, record)
            ):
                yield self._finding(evidence, record, found)
                return

    def _may_judge(self, evidence: Evidence, record: Record) -> bool:
        """A net that learns does not want for gradients in its first layers."""
        return record["kind"] == "model" or is_failing(evidence, record)

    def _died_out(self, evidence: Evidence, start: Record, record: Record) -> Finding:
        size = hidden_size(start)
        weights = [p for p in start["parameters"] if p["name"].endswith("weight")]
        smallest = min(weights, key=lambda each: float(each["weight_rms"]))
        ways = ways_to_redraw(evidence)
        return Finding(
            severity="warning",
            sentence=f"what the layers answer dies out: at the start {size:.1e} of the inputs' "
            "size reaches the last one, and as little comes back as gradients of the weights",
            evidence={
                "hidden_size": size,
                "smallest_weight": smallest["name"],
                "smallest_weight_rms": smallest["weight_rms"],
                "gradient_rms": smallest["gradient_rms"],
            },
            cause="the weights are drawn far too small: every layer multiplies by much less than "
            "one, and only biases learn",
            remedies=ways,
            command=""
            if ways
            else "draw the weights for the activation (Kaiming's for ReLU), "
            "or put a norm between layers",
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _finding(
        self, evidence: Evidence, record: Record, found: tuple[float, float, str, str]
    ) -> Finding:
        first, last, first_name, last_name = found
        ways = ways_to_redraw(evidence)
        return Finding(
            severity="warning",
            sentence=f"gradients die out on their way back: {last:.1e} at {last_name}, "
            f"{first:.1e} at {first_name}",
            evidence={
                "first_layer": first_name,
                "first_gradient_rms": first,
                "last_layer": last_name,
                "last_gradient_rms": last,
                "ratio": first / last,
            },
            cause="layer after layer multiplies them by less than one: activations with flat "
            "ends, or weights drawn too small",
            remedies=ways,
            command=""
            if ways
            else "ReLU or GELU instead of sigmoid or tanh, weights drawn for "
            "them (Kaiming's), a norm between layers, or residual connections",
            stage=record["stage"],
            epoch=epoch_of(record),
        )


@dataclass(frozen=True, kw_only=True)
class ExplodingGradients(Rule):
    """Gradients of a size that no step can follow, before the first step.

    Of forty well-known nets the largest norm at the start is 3,500; most have 1 to 100.
    """

    largest: Annotated[float, Gt(0)] = 1e4
    gain: Annotated[float, Gt(0)] = 4.0  # of a typical layer: torch's 0.6, Kaiming's 1.4
    half_lost: Annotated[float, Gt(0)] = 0.5  # of the loss of saying nothing, on top of it

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        yield from islice(chain(self._by_norm(evidence), self._by_gain(evidence)), 1)

    def _by_gain(self, evidence: Evidence) -> Iterable[Finding]:
        """Norms hide large weights from the gradient's norm, and steps are lost on them.

        Only where they did harm: the first loss is high, or nothing was learnt.
        """
        for record in [*models(evidence), *looks(evidence)]:
            start = start_before(evidence, record)
            if start is None or not begins_untrained(evidence, start):
                continue
            gains = gains_of(start)
            typical = median(gains) if len(gains) >= MIN_LAYERS else 0.0
            expected = start.get("expected_loss") or math.inf
            is_high = (1 + self.half_lost) * expected < start["loss"] < math.inf
            if typical > self.gain and (is_high or is_failing(evidence, record)):
                yield self._too_large(evidence, start, record, typical)
                return

    def _too_large(
        self, evidence: Evidence, start: Record, record: Record, typical: float
    ) -> Finding:
        ways = [way for way in ways_to_redraw(evidence) if "init" in way[0]]
        return Finding(
            severity="warning",
            sentence=f"the weights are drawn large: a typical layer multiplies what it is given "
            f"by {typical:.2g}, where torch's own does by 0.6 and Kaiming's by 1.4",
            evidence={
                "typical_gain": typical,
                "loss": start["loss"],
                "expected_loss": start.get("expected_loss"),
                "gradient_norm": start["gradient_norm"],
            },
            cause="weights are drawn with too large a spread: attention and answers start out "
            "certain of nothing true, and a step changes little of such weights",
            remedies=ways,
            command=""
            if ways
            else "draw the weights smaller: a spread of about 1 / root of a layer's inputs",
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _by_norm(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            norm, loss = record["gradient_norm"], record["loss"]
            if record["epoch"] or norm <= self.largest or not math.isfinite(loss):
                continue
            given: dict[str, Any] = {"gradient_norm": norm, "loss": loss}
            found = ends(record)
            if found is not None:
                given |= {found[2]: found[0], found[3]: found[1]}
            stage = training_of(evidence, record["stage"])
            is_training = stage in evidence.trainings or stage != record["stage"]
            ways = [way for way in ways_to_redraw(evidence) if "normalise" in way[0]]
            if is_training:
                ways.append([f"procedure.{stage}.max_gradient_norm=1.0"])
            yield Finding(
                severity="warning",
                sentence=f"gradients explode: their norm is {norm:.2g} before the first step",
                evidence=given,
                cause="layer after layer multiplies them by more than one: weights are drawn too "
                "large, or inputs are not scaled",
                remedies=ways,
                command="" if ways else "draw the weights smaller, or put a norm between layers",
                stage=record["stage"],
            )
            return
