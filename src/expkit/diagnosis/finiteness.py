"""The rule on the first layer that leaves the finite numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_records import (
    epoch_of,
    listed,
    looks,
    models,
)
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class NonFiniteLayer(Rule):
    """The first layer that makes a NaN or an infinity out of finite numbers.

    In training a NaN spreads to all weights in one step; where they hold one already the layer
    cannot be told any more, and other rules say where the loss left the numbers.
    """

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *looks(evidence)]:
            if record.get("inputs", {}).get("non_finite"):
                return  # not the model's doing
            bad = [each["name"] for each in record["layers"] if each["non_finite"]]
            broken = bad or record["outputs"]["non_finite"]
            if broken and self._had_finite_weights(record):
                yield self._finding(record, bad)
                return

    def _had_finite_weights(self, record: Record) -> bool:
        """Before the last step, and by that step's gradients after it."""
        for row in record.get("parameters", ()):
            for key in ("weight_rms", "gradient_rms", "update_ratio"):
                is_late = record["kind"] == "epoch" or key == "weight_rms"
                value = row.get(key)
                if is_late and value is not None and not abs(value) < float("inf"):
                    return False
        return True

    def _finding(self, record: Record, bad: Sequence[str]) -> Finding:
        where = bad[0] if bad else "a step behind the last layer"
        return Finding(
            severity="fatal",
            sentence=f"{where} answers with numbers that are not finite, from finite weights",
            evidence={
                "first_layer": where,
                "layers": listed(list(bad), 10),
                "outputs_non_finite": record["outputs"]["non_finite"],
            },
            cause="it divides by zero, takes the logarithm or root of what is not positive, or "
            "overflows",
            command=f"look at what {where} is given and how it computes; a small eps, or a clamp, "
            "keeps logarithms, roots and quotients finite",
            stage=record["stage"],
            epoch=epoch_of(record),
        )
