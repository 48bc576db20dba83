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


def ways_to_redraw(evidence: Evidence) -> list[list[str]]:
    """Overrides that change how features start: both together first, then each alone."""
    init = ["model.init=kaiming"] if evidence.config["model"].get("init") == "default" else []
    raw = evidence.config["dataset"].get("normalise") in ("none", "unit")
    normalize = ["dataset.normalise=dataset"] if raw else []
    both = [[*init, *normalize]] if init and normalize else []
    return [*both, *(each for each in (init, normalize) if each)]
