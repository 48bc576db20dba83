"""Remedies that several rules propose, each with the numbers of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.lr_estimate import GOOD_UPDATE, estimate


def lower_lr(evidence: Evidence) -> float:
    """A tenth of the learning rate, where steps are too large."""
    return float(evidence.config["optimizer"].get("lr") or 1e-3) / 10


def higher_lr(evidence: Evidence) -> float:
    """Ten times the learning rate, where steps are too small."""
    return float(evidence.config["optimizer"].get("lr") or 1e-3) * 10


def normalize_inputs(evidence: Evidence) -> list[list[str]]:
    """The override that fits inputs to the training images, where this run does not do so."""
    given = evidence.config["dataset"].get("normalize")
    return [["dataset.normalize=dataset"]] if given in ("none", "unit", "imagenet") else []


def has_raw_inputs(evidence: Evidence) -> bool:
    """Tell whether inputs are as they came, or scaled to 0 to 1: not centred."""
    return evidence.config["dataset"].get("normalize") in ("none", "unit")


def redraw_weights(evidence: Evidence) -> list[list[str]]:
    """The override that draws weights by Kaiming's rule, beside centred inputs first."""
    if evidence.config["model"].get("init") != "default":
        return []
    draw = "model.init=kaiming"
    return [[draw, "dataset.normalize=dataset"], [draw]] if has_raw_inputs(evidence) else [[draw]]


def ways_to_redraw(evidence: Evidence) -> list[list[str]]:
    """Overrides that change how features start: both together first, then each alone."""
    centre = [["dataset.normalize=dataset"]] if has_raw_inputs(evidence) else []
    return [*redraw_weights(evidence), *centre]


def estimated_lower_lr(evidence: Evidence, lr: float, burst: float) -> float:
    """A lower learning rate: as estimated, else by how far the loss burst."""
    good = estimate(evidence, lr)
    return good if good is not None and good < lr / 2 else lr / (100 if burst > 100 else 10)


def estimated_higher_lr(evidence: Evidence, lr: float, update_ratio: float) -> float:
    """A higher learning rate: as estimated, else one whose steps change a good part of a weight."""
    good = estimate(evidence, lr)
    if good is not None and good > 2 * lr:
        return good
    return max(2, GOOD_UPDATE / update_ratio / 3) * lr


def one_digit(number: float) -> float:
    """A number rounded as one writes a setting: 0.003, 2e-05."""
    return float(f"{number:.0e}")


def wider(model: Mapping[str, Any], usual: int = 16) -> list[list[str]]:
    """The same net with layers of a usual width, where its config names them."""
    overrides = []
    for key in ("widths", "hidden"):
        widths = model.get(key)
        if isinstance(widths, list | tuple) and widths and min(widths) < usual:
            wide = ",".join(str(max(usual * 2**i, width)) for i, width in enumerate(widths))
            overrides.append(f"model.{key}=[{wide}]")
    return [overrides] if overrides else []


def weaker(settings: Mapping[str, float]) -> list[str]:
    """Usual values of dropout, noise and lost lines in place of these."""
    usual = {"std": "0.02", "fraction": "0.1"}
    return [f"{key}={usual.get(key.rsplit('.', 1)[-1], '0.2')}" for key in settings]


def weaker_decay(name: str, decay: float, sound: float) -> list[list[str]]:
    """A sound weight decay where this one is far above it, and none."""
    return [[f"{name}={sound:g}"], [f"{name}=0.0"]] if decay > 5 * sound else [[f"{name}=0.0"]]
