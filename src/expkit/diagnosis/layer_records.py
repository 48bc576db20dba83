"""What several rules ask of the records on layers: whether samples still differ, and learn."""

from __future__ import annotations

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.model_records import is_at_chance
from expkit.records.files import Record

NEVER = 1e-6  # of the answers' size: what rounding makes of equal ones


def output_spread(record: Record) -> float:
    """By how much the answers to different samples differ, relative to their size."""
    outputs = record["outputs"]
    spread: float = outputs["spread_across_samples"]
    return spread / outputs["rms"] if outputs["rms"] > 0 else 0.0


def is_failing(evidence: Evidence, record: Record) -> bool:
    """A probe of a lost gate, or an epoch that has learnt next to nothing."""
    if record["kind"] == "model":
        return bool(record["epoch"])
    return is_at_chance(evidence, record)


def is_start(record: Record) -> bool:
    return record["kind"] == "model" and not record["epoch"]


def is_blocked(record: Record) -> bool:
    """Whether all answers are equal, and some layer gets a gradient of exactly zero."""
    gradients = [row["gradient_rms"] for row in record.get("parameters", ())]
    return 0.0 in gradients and output_spread(record) <= NEVER and record["outputs"]["rms"] > 0


def ways_to_redraw(evidence: Evidence) -> list[list[str]]:
    """Overrides that change how features start: both together first, then each alone."""
    init = ["model.init=kaiming"] if evidence.config["model"].get("init") == "default" else []
    raw = evidence.config["dataset"].get("normalise") in ("none", "unit")
    normalise = ["dataset.normalise=dataset"] if raw else []
    both = [[*init, *normalise]] if init and normalise else []
    return [*both, *(each for each in (init, normalise) if each)]
