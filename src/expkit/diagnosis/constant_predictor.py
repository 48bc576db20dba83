"""The cost of predicting the same whatever the image: where a model that learns nothing lies."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from expkit.diagnosis.evidence import Evidence


def constant_loss(evidence: Evidence, stage: str) -> float | None:
    """What always predicting the classes' shares costs; None where targets or loss are others."""
    counts = evidence.metadata.splits["train"].class_counts
    if counts is None or evidence.stage_config(stage).get("labels_from"):
        return None
    chance = chance_loss(evidence)
    if chance is None:
        return None
    fraction = entropy_fraction(tuple(counts), *drawn_as(evidence, stage))
    return chance * fraction if fraction > 0 else None


def chance_loss(evidence: Evidence) -> float | None:
    """Return what predicting all classes alike costs: as measured, or as known of the loss."""
    measured = [record.get("at_uniform") for record in evidence.of_kind("loss")]
    if measured and measured[0] is not None:
        return float(measured[0]) if math.isfinite(measured[0]) and measured[0] > 0 else None
    loss, chance = evidence.config["loss"], evidence.metadata.chance_loss
    name = str(loss["_target_"]).rsplit(".", 1)[-1]
    if chance is None or name not in ("CrossEntropy", "Focal"):
        return None
    gamma = float(loss.get("gamma", 0.0))
    return chance * float((1 - math.exp(-chance)) ** gamma)


def drawn_as(evidence: Evidence, stage: str) -> tuple[tuple[float, ...] | None, bool, float]:
    """The classes' weights, whether all count alike, and the label smoothing."""
    loss = evidence.config["loss"]
    weights = loss.get("class_weights")
    alike = weights == "balanced" or bool(evidence.stage_config(stage).get("balanced_sampling"))
    given = tuple(map(float, weights)) if isinstance(weights, list | tuple) else None
    return given, alike, float(loss.get("label_smoothing") or 0.0)


@functools.lru_cache(maxsize=64)
def entropy_fraction(
    counts: tuple[int, ...], weights: tuple[float, ...] | None, alike: bool, smoothing: float
) -> float:
    """Of what predicting all classes alike costs: what predicting their shares does.

    Every rule asks for it at every look, and hundreds of classes take their time.
    """
    fractions = class_fractions(counts, weights, alike=alike, smoothing=smoothing)
    if len(fractions) < 2:
        return 0.0
    entropy = -sum(fraction * math.log(fraction) for fraction in fractions if fraction > 0)
    return entropy / math.log(len(fractions))


def class_fractions(
    counts: Sequence[int],
    weights: Sequence[float] | None = None,
    *,
    alike: bool = False,
    smoothing: float = 0.0,
) -> list[float]:
    """Of the loss, by class: as they are drawn and weighted."""
    seen = [float(count > 0 if alike else count) for count in counts]
    if weights is not None and not alike and len(weights) == len(counts):
        seen = [count * weight for count, weight in zip(counts, weights, strict=True)]
    total = sum(seen)
    if not total > 0:
        return []
    return [(1 - smoothing) * each / total + smoothing / len(seen) for each in seen]
