"""A first experiment on images that were looked at: every choice with its reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

from expkit.metrics.intervals import wilson
from expkit.projects.look import Look

LEAST_IMBALANCE = 3.0  # largest class to smallest, from which on classes are weighted
NUM_STEPS = 1500  # of training that a small net from nothing needs, at the least
LEAST_STEPS = 20  # in an epoch: with fewer, batch norm and schedule see too little
SMALL_SIDE = 32  # pixels, below which an image may be a digit or a letter, which no flip keeps


@dataclass(frozen=True)
class Proposal:
    """The choices and values of an experiment, with the reasons that its comments give."""

    model: str
    model_settings: dict[str, object]
    model_reason: str
    augment: str
    batch_size: int
    max_epochs: int
    weighs_classes: bool
    imbalance: float
    metric: str
    least: float  # that the metric has to exceed
    criterion_reason: str


def propose(look: Look) -> Proposal:
    """Choose what a careful experimenter would begin with."""
    counts = look.counts("train")
    imbalance = max(counts.values()) / max(1, min(counts.values()))
    weighs = imbalance >= LEAST_IMBALANCE
    total = sum(counts.values())
    batch_size = next((size for size in (64, 32, 16) if total / size >= LEAST_STEPS), 8)
    epochs = math.ceil(NUM_STEPS / max(1, total // batch_size))
    small = isinstance(look.settings["size"], list) and max(look.settings["size"]) <= SMALL_SIDE
    metric, least, reason = _criterion(look, weighs=weighs)
    model, settings, why = _model(look)
    return Proposal(
        model=model,
        model_settings=settings,
        model_reason=why,
        augment="none" if small else "light",
        batch_size=batch_size,
        max_epochs=min(100, max(10, epochs)),
        weighs_classes=weighs,
        imbalance=imbalance,
        metric=metric,
        least=least,
        criterion_reason=reason,
    )


def _model(look: Look) -> tuple[str, dict[str, object], str]:
    if look.has_gpu and min(look.dataset.splits["train"].images.shape[1:3]) > 64:
        return "resnet18", {}, "model.pretrained=true starts from timm's weights, and is better"
    return "larger_backbone", {"init": "kaiming", "norm": "batch"}, "small enough for a CPU"


def _criterion(look: Look, *, weighs: bool) -> tuple[str, float, str]:
    """The least that is more than the largest class, and more than luck on so many images."""
    counts = look.counts(look.judged_split)
    total, largest = sum(counts.values()), max(counts, key=lambda name: counts[name])
    fraction = counts[largest] / total
    told = f"the largest class, {largest}, is {fraction:.3f} of the {total} {look.judged_split}"
    if weighs:
        chance = 1 / len(counts)
        least = _upper_end(chance, total)
        return "balanced_accuracy", least, f"{told} images; balanced, it is {chance:.3f}"
    return "accuracy", _upper_end(fraction, total), f"{told} images"


def _upper_end(fraction: float, total: int) -> float:
    """The upper end of the fraction's 95 % interval, in hundredths: above it is more than luck."""
    interval = wilson(fraction * total, total)
    assert interval is not None
    return min(0.99, math.ceil(interval[1] * 100) / 100)
