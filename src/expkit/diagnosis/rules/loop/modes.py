"""Rules on the mode of a watched model: eval while it trains, training while it is evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.model_probes import is_pretrained
from expkit.diagnosis.rules.loop.loop_rule import LoopRule
from expkit.records.files import Record


@dataclass(frozen=True, kw_only=True)
class EvalModeInTraining(LoopRule):
    """Steps of a model in eval mode, with norms and dropouts that are to learn and to draw.

    From the first epoch on that may be meant, of weights that were trained before.
    """

    min_batches: Annotated[int, Ge(1)] = 3
    min_fraction: Annotated[float, Gt(0), Le(1)] = 0.5

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        was_training = False
        for record in epochs:
            asleep, batches = record["batches_in_eval_mode"], record["batches"]
            is_asleep = asleep >= self.min_batches and asleep >= self.min_fraction * batches
            if is_asleep and record["modal_layers"]:
                is_left = was_training or asleep < batches
                if not is_left and is_pretrained(evidence):
                    return
                yield self.finding(
                    "left_on" if is_left else "never_off",
                    {
                        "batches_in_eval_mode": asleep,
                        "batches": batches,
                        "norms_and_dropouts": record["modal_layers"],
                    },
                    stage=record["stage"],
                    epoch=record["epoch"],
                )
                return
            was_training = was_training or asleep < batches


@dataclass(frozen=True, kw_only=True)
class TrainingModeInEvaluation(LoopRule):
    """Held-out samples that went through the model in training mode, all of them.

    They are known by their number: as many as were handed over, and no others, without gradients.
    """

    needs: ClassVar[str | None] = "held-out outputs"

    def look(self, evidence: Evidence, epochs: list[Record]) -> Iterable[Finding]:
        for record in epochs:
            seen, held_out = record["evaluated_in_mode"], record.get("held_out_samples")
            if held_out and seen == {"train": held_out} and record["modal_layers"]:
                yield self.finding(
                    "not_evaluating",
                    {"samples": held_out, "norms_and_dropouts": record["modal_layers"]},
                    stage=record["stage"],
                    epoch=record["epoch"],
                )
                return
