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
)
from expkit.diagnosis.model_probes import epoch_of, models, probe_epochs
from expkit.diagnosis.remedies import ways_to_redraw
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

    at_start: Annotated[float, Gt(0)] = 1e-5
    at_chance: Annotated[float, Gt(0)] = 1e-3
    most_learnt_loss: Annotated[float, Gt(0)] = 0.1

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
        """Tell whether small gradients are a fault: a net that learns has enough of them."""
        return record["kind"] == "model" or is_failing(evidence, record)

    def _wants_some(self, record: Record) -> bool:
        """Tell whether there is something to learn, and parameters that asked for a gradient."""
        asked = any(row["gradient_rms"] is not None for row in record["parameters"])
        return asked and record["loss"] > self.most_learnt_loss * (
            record.get("expected_loss") or math.inf
        )

    def _none_at_all(self, record: Record) -> Finding:
        return self.finding(
            "no_gradient",
            {"gradient_norm": 0.0, "loss": record["loss"]},
            stage=record["stage"],
        )

    def _died_out(self, evidence: Evidence, start: Record, record: Record) -> Finding:
        weights = [p for p in start["parameters"] if p["name"].endswith("weight")]
        smallest = min(weights, key=lambda each: float(each["weight_rms"]))
        return self.finding(
            "outputs_die_out",
            {
                "hidden_size": hidden_size(start),
                "smallest_weight": smallest["name"],
                "smallest_weight_rms": smallest["weight_rms"],
                "gradient_rms": smallest["gradient_rms"],
            },
            remedies=ways_to_redraw(evidence),
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _finding(
        self, evidence: Evidence, record: Record, found: tuple[float, float, str, str]
    ) -> Finding:
        first, last, first_name, last_name = found
        return self.finding(
            "gradients_die_out",
            {
                "first_layer": first_name,
                "first_gradient_rms": first,
                "last_layer": last_name,
                "last_gradient_rms": last,
                "ratio": first / last,
            },
            remedies=ways_to_redraw(evidence),
            stage=record["stage"],
            epoch=epoch_of(record),
        )
