"""Rules on gradients that die out, or grow without bound, on their way back through a net."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_records import is_failing, is_start, ways_to_redraw
from expkit.diagnosis.model_records import epoch_of, looks, models, training_of
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


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

    def find(self, evidence: Evidence) -> Iterable[Finding]:
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
