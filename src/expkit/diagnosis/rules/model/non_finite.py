"""The rule on the first layer that leaves the finite numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.constant_predictor import uniform_loss
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding, listed
from expkit.diagnosis.layer_probes import is_start
from expkit.diagnosis.model_probes import (
    epoch_of,
    models,
    probe_epochs,
    starts_from,
)
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class NonFiniteLayer(Rule):
    """The first layer that makes a NaN or an infinity out of finite numbers, or starts with one.

    In training a NaN spreads to all weights in one step; where they hold one already the layer
    cannot be found any more, unless the epoch was repeated to find it.
    """

    most_weight: Annotated[float, Gt(0)] = 1e3
    growth: Annotated[float, Gt(1)] = 2.0

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *probe_epochs(evidence)]:
            if record.get("inputs", {}).get("non_finite"):
                return  # not the model's doing
            if found := self._at_start(evidence, record):
                yield found
                return
            bad = [each["name"] for each in record["layers"] if each["non_finite"]]
            broken = bad or record["outputs"]["non_finite"]
            if broken and self._had_finite_weights(record):
                yield self._finding(record, bad)
                return
        yield from self._in_training(evidence)

    def _in_training(self, evidence: Evidence) -> Iterable[Finding]:
        """The finding of a layer that broke from usual weights, with a loss that had not grown."""
        for record in evidence.of_kind("epoch"):
            origin = record.get("origin") or {}
            if origin.get("where") != "output" or origin.get("largest_weight") is None:
                continue
            losses = [each["train/loss"] for each in evidence.epochs(record["stage"])]
            steps = [each["loss"] for each in evidence.of_kind("step", record["stage"])]
            before = origin.get("loss_before") or next(
                (loss for loss in reversed(losses) if math.isfinite(loss)), math.nan
            )
            first = max([*steps[:1], uniform_loss(evidence, record["stage"]) or 0.0])
            if before < self.growth * first and origin["largest_weight"] < self.most_weight:
                yield self._of_origin(record, origin, before)
                return

    def _had_finite_weights(self, record: Record) -> bool:
        """Tell whether weights were finite before the last step, and by its gradients after it.

        An epoch that was not probed has no weights on record: where it broke is in its origin.
        """
        if record["kind"] == "epoch" and "parameters" not in record:
            return False
        for row in record.get("parameters", ()):
            for key in ("weight_rms", "gradient_rms", "update_ratio"):
                is_late = record["kind"] == "epoch" or key == "weight_rms"
                value = row.get(key)
                if is_late and value is not None and not abs(value) < float("inf"):
                    return False
        return True

    def _finding(self, record: Record, bad: Sequence[str]) -> Finding:
        return self.finding(
            "layer",
            {
                "first_layer": bad[0] if bad else "a step behind the last layer",
                "layers": listed(bad, 10),
                "outputs_non_finite": record["outputs"]["non_finite"],
            },
            stage=record["stage"],
            epoch=epoch_of(record),
        )

    def _at_start(self, evidence: Evidence, record: Record) -> Finding | None:
        """The finding of weights, or gradients of finite outputs, that start as no numbers."""
        if not is_start(record) or starts_from(evidence, record["stage"]):
            return None
        rows = record["parameters"]
        weights = [row["name"] for row in rows if not math.isfinite(row["weight_rms"])]
        if weights:
            return self.finding(
                "weights_at_start",
                {"parameters": weights[:20]},
                stage=record["stage"],
                names=listed(weights),
                first=weights[0],
            )
        given = [row for row in rows if row["gradient_rms"] is not None]
        lost = [row["name"] for row in given if not math.isfinite(row["gradient_rms"])]
        if not lost or not math.isfinite(record["loss"]):
            return None
        return self.finding(
            "gradient_at_start",
            {"last_parameter": lost[-1], "parameters": lost[:20], "loss": record["loss"]},
            stage=record["stage"],
            layer=lost[-1].rpartition(".")[0],
        )

    def _of_origin(self, record: Record, origin: Mapping[str, Any], before: float) -> Finding:
        return self.finding(
            "in_training",
            {**origin, "loss_before": before},
            stage=record["stage"],
            epoch=record["epoch"],
        )
