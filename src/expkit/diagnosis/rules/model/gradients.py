"""The rule on gradients that die out on their way back through a net."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import (
    dies_out,
    hidden_size,
    is_failing,
    is_start,
    start_before,
    ways_to_redraw,
)
from expkit.diagnosis.model_probes import (
    epoch_of,
    models,
    probe_epochs,
)
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
        for record in [*models(evidence), *probe_epochs(evidence)]:
            if is_start(record) and record["gradient_norm"] == 0 and self._wants_some(record):
                yield self._none_at_all(record)
                return
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

    def _wants_some(self, record: Record) -> bool:
        """Tell whether there is something to learn, and parameters that asked for a gradient."""
        asked = any(row["gradient_rms"] is not None for row in record["parameters"])
        return asked and record["loss"] > 0.1 * (record.get("expected_loss") or math.inf)

    def _none_at_all(self, record: Record) -> Finding:
        return Finding(
            severity="fatal",
            sentence=f"every gradient is exactly zero before the first step, at a loss of "
            f"{record['loss']:.3g}: nothing can be learnt",
            evidence={"gradient_norm": 0.0, "loss": record["loss"]},
            cause="outputs are multiplied by zero, rounded or clamped, or the loss is clamped "
            "where it stands",
            command="look at what the end of the model's forward, and the loss, do with outputs",
            stage=record["stage"],
        )

    def _died_out(self, evidence: Evidence, start: Record, record: Record) -> Finding:
        size = hidden_size(start)
        weights = [p for p in start["parameters"] if p["name"].endswith("weight")]
        smallest = min(weights, key=lambda each: float(each["weight_rms"]))
        ways = ways_to_redraw(evidence)
        return Finding(
            severity="warning",
            sentence=f"what the layers output dies out: at the start {size:.1e} of the inputs' "
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
