"""What it costs to answer the same whatever the picture: where a model that learns nothing lies."""

from __future__ import annotations

import math

from expkit.diagnosis.evidence import Evidence


def constant_loss(evidence: Evidence, stage: str) -> float | None:
    """What always answering the classes' shares costs; None where targets or loss are others."""
    counts = evidence.facts.splits["train"].class_counts
    if counts is None or evidence.stage_config(stage).get("labels_from"):
        return None
    chance = chance_loss(evidence)
    if chance is None:
        return None
    shares = class_shares(evidence, stage, counts)
    entropy = -sum(share * math.log(share) for share in shares if share > 0)
    return chance * entropy / math.log(len(counts)) if entropy > 0 else None


def chance_loss(evidence: Evidence) -> float | None:
    """What answering all classes alike costs: as measured, or as known of the loss."""
    measured = [record.get("at_uniform") for record in evidence.of_kind("loss")]
    if measured and measured[0] is not None:
        return float(measured[0]) if math.isfinite(measured[0]) and measured[0] > 0 else None
    loss, chance = evidence.config["loss"], evidence.facts.chance_loss
    name = str(loss["_target_"]).rsplit(".", 1)[-1]
    if chance is None or name not in ("CrossEntropy", "Focal"):
        return None
    gamma = float(loss.get("gamma", 0.0))
    return chance * float((1 - math.exp(-chance)) ** gamma)


def class_shares(evidence: Evidence, stage: str, counts: tuple[int, ...]) -> list[float]:
    """Of the loss, by class: as they are drawn and weighted."""
    weights = evidence.config["loss"].get("class_weights")
    if weights == "balanced" or evidence.stage_config(stage).get("balanced_sampling"):
        seen = [float(count > 0) for count in counts]
    elif isinstance(weights, list | tuple):
        seen = [count * weight for count, weight in zip(counts, weights, strict=True)]
    else:
        seen = [float(count) for count in counts]
    smoothing = float(evidence.config["loss"].get("label_smoothing", 0.0))
    total = sum(seen)
    return [(1 - smoothing) * each / total + smoothing / len(seen) for each in seen]
