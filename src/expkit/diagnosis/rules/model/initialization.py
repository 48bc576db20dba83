"""The rule on nets that start too large: their gradients explode, or norms alone hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from statistics import median
from typing import Annotated, Any

from annotated_types import Ge, Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import LINEAR, gain_of, is_failing, start_before
from expkit.diagnosis.model_probes import (
    begins_untrained,
    epoch_of,
    models,
    probe_epochs,
    training_of,
)
from expkit.diagnosis.remedies import has_raw_inputs, redraw_weights
from expkit.diagnosis.rule import Rule
from expkit.diagnosis.rules.model.gradients import ends
from expkit.records.files import Record


def gains_of(record: Record) -> list[float]:
    """The factor by which each linear layer changes the size of its inputs.

    Layers whose output is not of one unit a row of their weight are left out.
    """
    units = {
        layer["name"]: layer["units"]
        for layer in record["layers"]
        if layer["type"] in LINEAR and layer.get("units")
    }
    named = ((row, units.get(row["name"].removesuffix(".weight"))) for row in record["parameters"])
    return [gain_of(row, count) for row, count in named if count]


@dataclass(frozen=True, kw_only=True)
class ExplodingGradients(Rule):
    """Gradients of a size that no step can follow, before the first step.

    Of forty well-known nets the largest norm at the start is 3,500; most have 1 to 100.
    """

    largest: Annotated[float, Gt(0)] = 1e4
    gain: Annotated[float, Gt(0)] = 4.0
    min_layers: Annotated[int, Ge(1)] = 4
    half_lost: Annotated[float, Gt(0)] = 0.5

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        yield from islice(chain(self._by_norm(evidence), self._by_gain(evidence)), 1)

    def _by_gain(self, evidence: Evidence) -> Iterable[Finding]:
        """The finding of large weights, which norms hide from the gradient's own norm.

        Only where they did harm: the first loss is high, or nothing was learnt.
        """
        for record in [*models(evidence), *probe_epochs(evidence)]:
            start = start_before(evidence, record)
            if start is None or not begins_untrained(evidence, start):
                continue
            gains = gains_of(start)
            typical = median(gains) if len(gains) >= self.min_layers else 0.0
            expected = start.get("expected_loss") or math.inf
            is_high = (1 + self.half_lost) * expected < start["loss"] < math.inf
            if typical > self.gain and (is_high or is_failing(evidence, record)):
                yield self._too_large(evidence, start, record, typical)
                return

    def _too_large(
        self, evidence: Evidence, start: Record, record: Record, typical: float
    ) -> Finding:
        return self.finding(
            "weights_too_large",
            {
                "typical_gain": typical,
                "loss": start["loss"],
                "expected_loss": start.get("expected_loss"),
                "gradient_norm": start["gradient_norm"],
            },
            remedies=redraw_weights(evidence),
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
            yield self.finding(
                "exploding",
                given,
                stage=record["stage"],
                parts={"normalize": has_raw_inputs(evidence), "clip": is_training},
                training=stage,
            )
            return
