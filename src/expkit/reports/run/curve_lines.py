"""The lines of a training curve beside its points: what it is of, and what to hold against it."""

from __future__ import annotations

from dataclasses import dataclass

from expkit.config.stage_parts import config_of_stage
from expkit.diagnosis.constant_predictor import stated_uniform_loss
from expkit.metrics.percentages import percent
from expkit.records.run.reader import Run
from expkit.reports.run.summary import gate_bound, is_gate

CHANCE, OTHER = ":", "--"  # how a level is drawn


@dataclass(frozen=True)
class Level:
    """A level across a curve: chance, the largest class, a bound."""

    value: float
    label: str
    line: str


def train_label(run: Run, stage: str, metric: str) -> str:
    """Say what the training figure is of, where it is not of the samples as they are."""
    if is_gate(run, stage):
        return "one batch"
    notes = ["mean while training"]
    if (run.config["procedure"].get(stage) or {}).get("balanced_sampling"):
        weighted = any(
            "weighted_to_class_fractions" in s for s in run.signals if s["stage"] == stage
        )
        is_comparable = weighted and metric == "accuracy"
        notes.append(
            "drawn by class, weighted back" if is_comparable else "of classes drawn equally often"
        )
    augment = run.config.get("augment") or {}
    if augment.get("mixup_alpha") or augment.get("cutmix_alpha"):
        notes.append("of mixed images")
    note = ",\n".join(notes)
    return f"train ({note})"


def loss_levels(run: Run, stage: str) -> list[Level]:
    """The loss of a model that knows nothing, and the bound of a gate."""
    bound = gate_bound(run, stage)
    metadata = run.dataset_of(stage)
    chance = metadata.chance_loss
    levels = []
    if bound is None:  # a gate's loss is cross-entropy, whatever the run's
        loss = config_of_stage(run.config, stage)["loss"]
        chance = stated_uniform_loss(loss, metadata.chance_loss)
    if chance:
        is_log = chance == metadata.chance_loss
        formula = f"ln({metadata.num_classes}) = " if is_log else ""
        levels.append(Level(chance, f"chance: {formula}{chance:.3f}", CHANCE))
    if bound is not None:
        levels.append(Level(bound, f"bound to pass: {bound:g}", OTHER))
    return levels


def accuracy_levels(run: Run, stage: str) -> list[Level]:
    """Chance and the largest class, which are one level where all classes are as large."""
    metadata = run.dataset_of(stage)
    chance = metadata.chance_accuracy
    if chance is None:
        return []
    majority = metadata.majority_accuracy(metadata.monitored_split) or 0
    if majority - chance < 0.005:
        return [Level(chance, f"chance = largest class: {percent(chance)}", CHANCE)]
    return [
        Level(chance, f"chance: {percent(chance)}", CHANCE),
        Level(majority, f"largest class: {percent(majority)}", OTHER),
    ]
