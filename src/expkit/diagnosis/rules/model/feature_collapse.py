"""The rule on features that tell no sample from another, and never have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_high
from typing import Annotated

from annotated_types import Ge, Gt

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.layer_probes import (
    NEVER,
    lost_gate,
    output_std,
    start_before,
)
from expkit.diagnosis.model_probes import (
    is_at_chance,
    models,
    probe_epochs,
    start_of,
)
from expkit.diagnosis.remedies import ways_to_redraw
from expkit.diagnosis.rule import Rule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class CollapsedFeatures(Rule):
    """Features that are nearly equal for all samples from the start, so that nothing is learnt.

    Log 1's deep head: the outputs of its last hidden layer differ by 5 % between samples
    (that of nets which learn the same pieces: 22 and 33 %), the steps that follow level it to
    nothing, and the loss stays at chance. A flat start alone is no fault: it must have stayed so
    while weights moved. Nets with batch norm are left to other rules: in eval mode they all start
    flat, and their own statistics make up for it.
    """

    at_start: Annotated[float, Gt(0)] = 0.1
    at_gate: Annotated[float, Gt(0)] = 0.05
    features: Annotated[float, Gt(0)] = 0.06
    outputs: Annotated[float, Gt(0)] = 0.003
    outputs_for_long: Annotated[float, Gt(0)] = 0.05
    least_epochs: Annotated[int, Ge(1)] = 2
    epochs_at_chance: Annotated[int, Ge(2)] = 6
    moved: Annotated[float, Gt(0)] = 3e-4  # smaller is a slow start

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        for record in models(evidence):
            if lost_gate(evidence, record) and (found := self._at_gate(evidence, record)):
                yield found
                return
        moved: dict[str, float] = {}
        for probe_epoch in probe_epochs(evidence):
            stage = probe_epoch["stage"]
            moved[stage] = max(moved.get(stage, 0.0), typical_update(probe_epoch))
            start = start_of(evidence, stage)
            if (
                start is None
                or start.get("batch_norms")
                or probe_epoch["epoch"] < self.least_epochs
            ):
                continue
            flat_start = hidden_std(start)
            if (
                flat_start is not None
                and flat_start < self.at_start
                and moved[stage] >= self.moved
                and self._is_flat(probe_epoch)
                and is_at_chance(evidence, probe_epoch)
            ):
                yield self._finding(evidence, start, probe_epoch)
                return

    def _at_gate(self, evidence: Evidence, record: Record) -> Finding | None:
        """The finding of a lost gate whose few samples hardly differed from the start.

        What a step did to the features is another's fault; so are units that died.
        """
        start = start_before(evidence, record)
        if start is None or any(layer.get("dead_fraction") == 1 for layer in start["layers"]):
            return None
        before = hidden_std(start)
        same = output_std(start) <= NEVER < start["outputs"]["rms"]
        is_flat = before is not None and before < self.at_gate and not start.get("batch_norms")
        if not same and not is_flat:
            return None
        return self.finding(
            "features_at_gate" if is_flat else "outputs_at_gate",
            {
                "hidden_std_at_start": before,
                "hidden_std": hidden_std(record),
                "output_std": output_std(record),
                "loss": record["loss"],
            },
            remedies=ways_to_redraw(evidence),
            stage=record["stage"],
            epoch=record["epoch"],
        )

    def _is_flat(self, probe_epoch: Record) -> bool:
        hidden, outputs = hidden_std(probe_epoch), output_std(probe_epoch)
        if hidden is None or not hidden < self.features:
            return False
        is_late = probe_epoch["epoch"] >= self.epochs_at_chance
        return outputs < self.outputs or (is_late and outputs < self.outputs_for_long)

    def _finding(self, evidence: Evidence, start: Record, probe_epoch: Record) -> Finding:
        return self.finding(
            "in_training",
            {
                "hidden_std_at_start": hidden_std(start),
                "hidden_std": hidden_std(probe_epoch),
                "output_std": output_std(probe_epoch),
                "train_loss": probe_epoch["train/loss"],
            },
            remedies=ways_to_redraw(evidence),
            stage=probe_epoch["stage"],
            epoch=probe_epoch["epoch"],
        )


def hidden_std(record: Record) -> float | None:
    """The std of the last layer's inputs across samples, relative to their size."""
    layers = record["layers"]
    return float(layers[-2]["relative_std"]) if len(layers) > 1 else None


def typical_update(probe_epoch: Record) -> float:
    """The median weight's last change, as a fraction of the weight; 0 where none was measured."""
    ratios = [each.get("update_ratio") for each in probe_epoch.get("parameters", ())]
    return float(median_high(filter(None, ratios))) if any(ratios) else 0.0
