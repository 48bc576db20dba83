"""The rule on the first layer that leaves the finite numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import is_start
from expkit.diagnosis.model_probes import (
    chance_loss,
    epoch_of,
    listed,
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
    cannot be told any more, unless the epoch was repeated to find it.
    """

    most_weight: Annotated[float, Gt(0)] = 1e3  # beyond, numbers may have grown out of range
    growth: Annotated[float, Gt(1)] = 2.0  # of the loss before: beyond, steps are to blame

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *probe_epochs(evidence)]:
            if record.get("inputs", {}).get("non_finite"):
                return  # not the model's doing
            if found := _at_start(evidence, record):
                yield found
                return
            bad = [each["name"] for each in record["layers"] if each["non_finite"]]
            broken = bad or record["outputs"]["non_finite"]
            if broken and self._had_finite_weights(record):
                yield self._finding(record, bad)
                return
        yield from self._in_training(evidence)

    def _in_training(self, evidence: Evidence) -> Iterable[Finding]:
        """From weights of a usual size, with a loss that had not grown."""
        for record in evidence.of_kind("epoch"):
            origin = record.get("origin") or {}
            if origin.get("where") != "output" or origin.get("largest_weight") is None:
                continue
            losses = [each["train/loss"] for each in evidence.epochs(record["stage"])]
            steps = [each["loss"] for each in evidence.of_kind("step", record["stage"])]
            before = origin.get("loss_before") or next(
                (loss for loss in reversed(losses) if math.isfinite(loss)), math.nan
            )
            first = max([*steps[:1], chance_loss(evidence, record["stage"]) or 0.0])
            if before < self.growth * first and origin["largest_weight"] < self.most_weight:
                yield _of_origin(record, origin, before)
                return

    def _had_finite_weights(self, record: Record) -> bool:
        """Before the last step, and by that step's gradients after it.

        An epoch between two looks has no weights on record: where it broke is its origin's to say.
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
        where = bad[0] if bad else "a step behind the last layer"
        return Finding(
            severity="fatal",
            sentence=f"{where} returns numbers that are not finite, from finite weights",
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


def _at_start(evidence: Evidence, record: Record) -> Finding | None:
    """Weights, or the gradients of finite outputs, that are no numbers before any step."""
    if not is_start(record) or starts_from(evidence, record["stage"]):
        return None
    rows = record["parameters"]
    weights = [row["name"] for row in rows if not math.isfinite(row["weight_rms"])]
    if weights:
        return Finding(
            severity="fatal",
            sentence=f"{listed(weights)} hold NaN or infinity before the first step",
            evidence={"parameters": weights[:20]},
            cause="the file that they were loaded from is damaged, or they are drawn by an "
            "expression that divides by zero, or left as memory was (torch.empty)",
            command=f"look at how {weights[0]} is drawn or loaded",
            stage=record["stage"],
        )
    given = [row for row in rows if row["gradient_rms"] is not None]
    lost = [row["name"] for row in given if not math.isfinite(row["gradient_rms"])]
    if not lost or not math.isfinite(record["loss"]):
        return None
    return Finding(
        severity="fatal",
        sentence=f"the loss is finite ({record['loss']:.3g}), and its gradient at {lost[-1]} is "
        "not, before the first step",
        evidence={"last_parameter": lost[-1], "parameters": lost[:20], "loss": record["loss"]},
        cause="what follows that layer has no finite slope where it stands: a root or a norm of "
        "zero, a power below one, 0 / 0 behind a where()",
        command=f"look at what is done with the output of {lost[-1].rpartition('.')[0]}: add a "
        "small eps under the root, before it is taken",
        stage=record["stage"],
    )


def _of_origin(record: Record, origin: Mapping[str, Any], before: float) -> Finding:
    where = origin["layer"]
    return Finding(
        severity="fatal",
        sentence=f"in batch {origin['batch']} of epoch {record['epoch']} the output of {where} "
        f"({origin['type']}) is the first that is not finite, from finite weights; the loss "
        f"before was {before:.3g}",
        evidence={**origin, "loss_before": before},
        cause="it, or what stands right before it, divides by zero, or takes the logarithm or "
        "root of what is not positive",
        command=f"look at what {where} is given and how it computes; a small eps, or a clamp, "
        "keeps logarithms, roots and quotients finite",
        stage=record["stage"],
        epoch=record["epoch"],
    )
