"""The loss of predicting the same whatever the image: that of a model that learns nothing."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.diagnosis.evidence import Evidence


def uniform_loss(evidence: Evidence, stage: str) -> float | None:
    """The training loss of equal outputs, as measured; else as known of cross-entropy and focal."""
    records = [*evidence.of_kind("loss", stage), *evidence.of_kind("loss")]
    measured = [value for each in records if (value := each.get("at_uniform")) is not None]
    if measured:
        return float(measured[0]) if 0 < measured[0] < math.inf else None
    return stated_uniform_loss(
        evidence.of_stage(stage).config["loss"], evidence.metadata_of(stage).chance_loss
    )


def stated_uniform_loss(loss: Mapping[str, Any], chance: float | None) -> float | None:
    """Return the loss of equal outputs by the config, where cross-entropy's is `chance`."""
    known = (".CrossEntropy", ".Focal", ".AdaptiveFocal")
    if chance is None or not str(loss.get("_target_")).endswith(known):
        return None
    gamma = float(loss.get("gamma", 0.0))
    return chance * float((1 - math.exp(-chance)) ** gamma)


def constant_loss(evidence: Evidence, stage: str) -> float | None:
    """The loss of always predicting the classes' fractions; None of other targets and losses."""
    counts = evidence.metadata.splits["train"].class_counts
    if counts is None or evidence.stage_config(stage).get("labels_from"):
        return None
    uniform = uniform_loss(evidence, stage)
    if uniform is None:
        return None
    loss = evidence.of_stage(stage).config["loss"]
    weights = loss.get("class_weights")
    is_balanced = (
        weights == "balanced"
        or evidence.stage_config(stage).get("balanced_sampling")
        or follows_predictions(loss)
    )
    fraction = entropy_fraction(
        tuple(counts),
        tuple(map(float, weights)) if isinstance(weights, list | tuple) else None,
        bool(is_balanced),
        float(loss.get("label_smoothing") or 0.0),
    )
    return uniform * fraction if fraction > 0 else None


def follows_predictions(loss: Mapping[str, object]) -> bool:
    """Tell whether a loss weighs up the classes that are missed: a constant predictor's most."""
    return str(loss.get("_target_")).endswith(".AdaptiveFocal")


@functools.lru_cache(maxsize=64)
def entropy_fraction(
    counts: tuple[int, ...], weights: tuple[float, ...] | None, balanced: bool, smoothing: float
) -> float:
    """The entropy of the classes' fractions in the loss, as a fraction of that of equal ones.

    Every rule needs it for every epoch, and hundreds of classes take their time.
    """
    fractions = class_fractions(counts, weights, balanced=balanced, smoothing=smoothing)
    if len(fractions) < 2:
        return 0.0
    entropy = -sum(fraction * math.log(fraction) for fraction in fractions if fraction > 0)
    return entropy / math.log(len(fractions))


def class_fractions(
    counts: Sequence[int],
    weights: Sequence[float] | None = None,
    *,
    balanced: bool = False,
    smoothing: float = 0.0,
) -> list[float]:
    """The fraction of the loss that each class makes, as its samples are drawn and weighted."""
    seen = [float(count > 0 if balanced else count) for count in counts]
    if weights is not None and not balanced and len(weights) == len(counts):
        seen = [count * weight for count, weight in zip(counts, weights, strict=True)]
    total = sum(seen)
    if not total > 0:
        return []
    return [(1 - smoothing) * each / total + smoothing / len(seen) for each in seen]
