"""The probes of models that several rules look at: where a run started, from which weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from expkit.diagnosis.constant_predictor import uniform_loss
from expkit.diagnosis.evidence import Evidence
from expkit.records.files import Record

AT_CHANCE = 0.98  # of the loss of a model that knows nothing: not less has been learnt


def models(evidence: Evidence) -> list[Record]:
    """The probes of models, in the order of the run: at the start of stages, after lost gates."""
    return evidence.of_kind("model")


def epoch_of(record: Record) -> int | None:
    return record["epoch"] or None


def begins_untrained(evidence: Evidence, record: Record) -> bool:
    """Tell whether a probe met weights as they were drawn: not trained, pretrained or loaded."""
    if record["epoch"]:
        return False
    return not (is_pretrained(evidence) or starts_from(evidence, record["stage"]))


def is_pretrained(evidence: Evidence) -> bool:
    """Tell whether the model's config names weights; another's own keys are taken at their name."""
    return any(
        value
        for key, value in evidence.config["model"].items()
        if any(word in key.lower() for word in ("pretrained", "weights", "checkpoint"))
    )


def training_of(evidence: Evidence, stage: str) -> str:
    """The training stage that a probe belongs to: preflight probes the first one's model."""
    stages = evidence.config["procedure"]
    is_preflight = str((stages.get(stage) or {}).get("_target_", "")).endswith(".Preflight")
    trainings = (n for n, each in stages.items() if each["_target_"].endswith(".Training"))
    return next(trainings, stage) if is_preflight else stage


def starts_from(evidence: Evidence, stage: str) -> str | None:
    """The earlier stage, or the other run, whose weights a stage goes on with."""
    config: Mapping[str, Any] = evidence.config["procedure"].get(stage) or {}
    return config.get("start_from_run") or config.get("start_from")


def is_at_chance(evidence: Evidence, probe_epoch: Record) -> bool:
    """Tell whether an epoch has learnt next to nothing; False where there is no such level."""
    chance = uniform_loss(evidence, probe_epoch["stage"])
    loss = probe_epoch.get("train/loss")
    return chance is not None and loss is not None and loss >= AT_CHANCE * chance


def probe_epochs(evidence: Evidence) -> Iterator[Record]:
    """The epochs whose layers were measured, of all training stages."""
    for stage in evidence.trainings:
        yield from (each for each in evidence.of_kind("epoch", stage) if each.get("layers"))


def start_of(evidence: Evidence, stage: str) -> Record | None:
    """The probe of the model that a stage began with."""
    starts = [each for each in evidence.of_kind("model", stage) if not each["epoch"]]
    return starts[0] if starts else None


def is_deterministic(evidence: Evidence) -> bool:
    """Tell whether the run was asked to give the same numbers twice."""
    return bool((evidence.config.get("device") or {}).get("deterministic"))


def unrepeated_steps(evidence: Evidence) -> list[Record]:
    """The probes of one step under one seed that gave two results, where it was to repeat."""
    records = [*evidence.of_kind("machine"), *models(evidence)]
    return [e for e in records if e.get("repeats") is False] if is_deterministic(evidence) else []
