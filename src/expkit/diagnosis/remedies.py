"""Remedies that several rules propose, each with the numbers of the run."""

from __future__ import annotations

from expkit.diagnosis.evidence import Evidence


def lower_lr(evidence: Evidence) -> float:
    """A tenth of the learning rate, where steps are too large."""
    return float(evidence.config["optimizer"].get("lr") or 1e-3) / 10


def normalize_inputs(evidence: Evidence) -> list[list[str]]:
    """The override that fits inputs to the training images, where this run does not do so."""
    given = evidence.config["dataset"].get("normalise")
    return [["dataset.normalise=dataset"]] if given in ("none", "unit", "imagenet") else []


def has_raw_inputs(evidence: Evidence) -> bool:
    """Tell whether inputs are as they came, or scaled to 0 to 1: not centred."""
    return evidence.config["dataset"].get("normalise") in ("none", "unit")


def redraw_weights(evidence: Evidence) -> list[list[str]]:
    """The override that draws weights by Kaiming's rule, beside centred inputs first."""
    if evidence.config["model"].get("init") != "default":
        return []
    draw = "model.init=kaiming"
    return [[draw, "dataset.normalise=dataset"], [draw]] if has_raw_inputs(evidence) else [[draw]]


def ways_to_redraw(evidence: Evidence) -> list[list[str]]:
    """Overrides that change how features start: both together first, then each alone."""
    centre = [["dataset.normalise=dataset"]] if has_raw_inputs(evidence) else []
    return [*redraw_weights(evidence), *centre]
