"""Rules on units that never fire, or only at their limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import (
    dies_out,
    is_blocked,
    is_failing,
    is_start,
    output_std,
    start_before,
)
from expkit.diagnosis.model_probes import epoch_of, models, probe_epochs
from expkit.diagnosis.remedies import lower_lr, ways_to_redraw
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


def units_of(record: Record) -> list[Record]:
    """The layers, and activations that the model calls as functions (measured by probes alone)."""
    return [*record["layers"], *record.get("activations", ())]


def hidden_units_of(record: Record) -> list[Record]:
    """The layers and functions before the last layer."""
    *hidden, last = record["layers"] or [{"name": ""}]
    functions = record.get("activations", ())
    return [*hidden, *(each for each in functions if each["behind"] != last["name"])]


@dataclass(frozen=True, kw_only=True)
class DeadUnits(Rule):
    """Rectifiers that output zero to every sample.

    Of a healthy net two thirds of a layer's units may rest in the middle of training, as those of
    the puzzle's convolutions do, and nearly all of a layer after the first epoch, to come back
    later: so a warning wants nearly all of many units at the start, or for long without learning.
    A whole layer is reported at once where it also keeps every gradient from the layers before it.
    """

    dead: Annotated[float, Gt(0), Le(1)] = 0.9
    num_units: Annotated[int, Ge(1)] = 32  # fewer die by chance where samples are much alike
    epochs: Annotated[int, Ge(1)] = 6  # earlier it may still come back

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *probe_epochs(evidence)]:
            start = start_before(evidence, record)
            if start is not None and not is_start(record) and dies_out(start):
                return  # units that are given next to nothing: their own start is to blame
            measured = [each for each in units_of(record) if each.get("dead_fraction") is not None]
            whole = [each for each in measured if each["dead_fraction"] == 1]
            if whole and is_blocked(record):
                yield self._finding(evidence, record, whole, is_blocked=True)
                return
            many = [
                each
                for each in measured
                if each["dead_fraction"] >= self.dead and each.get("units", 0) >= self.num_units
            ]
            if many and (is_start(record) or self._lasts(evidence, record)):
                yield self._finding(evidence, record, many, is_blocked=False)
                return

    def _lasts(self, evidence: Evidence, record: Record) -> bool:
        is_late = record["kind"] == "model" or record["epoch"] >= self.epochs
        return is_late and is_failing(evidence, record)

    def _finding(
        self, evidence: Evidence, record: Record, layers: Sequence[Record], *, is_blocked: bool
    ) -> Finding:
        worst = max(layers, key=lambda each: float(each["dead_fraction"]))
        at_start = not record["epoch"]
        return self.finding(
            "at_start" if at_start else "since_a_step",
            {
                "layers": [each["name"] for each in layers][:20],
                "dead_fraction": worst["dead_fraction"],
                "output_std": output_std(record),
            },
            severity="fatal" if is_blocked else "warning",
            parts={"blocked": is_blocked},
            stage=record["stage"],
            epoch=epoch_of(record),
            layer=worst["name"],
            lower_lr=lower_lr(evidence),
        )


@dataclass(frozen=True, kw_only=True)
class SaturatedUnits(Rule):
    """Sigmoids and tanhs that stand at their limits, where they have no slope.

    The last layer is left out: outputs may be sure.
    """

    saturated: Annotated[float, Gt(0), Le(1)] = 0.8

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in [*models(evidence), *probe_epochs(evidence)]:
            if not is_start(record) and not is_failing(evidence, record):
                continue
            stuck = [
                each
                for each in hidden_units_of(record)
                if (each.get("saturated_fraction") or 0.0) >= self.saturated
            ]
            if not stuck:
                continue
            worst = max(stuck, key=lambda each: float(each["saturated_fraction"]))
            yield self.finding(
                "saturated",
                {
                    "layers": [each["name"] for each in stuck][:20],
                    "saturated_fraction": worst["saturated_fraction"],
                },
                remedies=ways_to_redraw(evidence),
                stage=record["stage"],
                epoch=epoch_of(record),
                layer=worst["name"],
                layer_type=worst["type"],
            )
            return
