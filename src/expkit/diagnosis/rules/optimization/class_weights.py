"""Class weights that leave a loss of one class alone."""

from __future__ import annotations

from collections.abc import Iterator

from expkit.diagnosis.constant_predictor import class_fractions
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.metrics.percentages import percent

DROWNS = 0.9  # of the loss, from one class: all others together count for a tenth
MUTED = 0.02  # of what a class would have by its samples


def unsound_weights(evidence: Evidence) -> Iterator[Finding]:
    """Weights given by hand beside the samples: what is rare is weighed up, and no further.

    Balanced weights give each of C classes 1 / C of the loss; a rare class of a hundredth that is
    weighed fiftyfold has a third.
    """
    counts = evidence.metadata.splits["train"].class_counts
    weights = evidence.config["loss"].get("class_weights")
    if counts is None or not isinstance(weights, list | tuple) or len(weights) != len(counts):
        return
    plain, weighed = class_fractions(counts), class_fractions(counts, [float(w) for w in weights])
    if len(counts) < 2 or not weighed or not plain:
        return
    top = max(range(len(counts)), key=weighed.__getitem__)
    muted = [
        i for i, fraction in enumerate(weighed) if plain[i] > 0 and fraction < MUTED * plain[i]
    ]
    drowns = weighed[top] > DROWNS and plain[top] < 0.5
    if not drowns and not muted:
        return
    names = evidence.metadata.class_names or tuple(map(str, range(len(counts))))
    told = ", ".join(f"'{names[i]}'" for i in muted[:5])
    yield Finding(
        severity="warning",
        sentence=f"by its weight {weights[top]:g} the class '{names[top]}' makes "
        f"{percent(weighed[top], 1)} of the loss, with {percent(plain[top], 1)} of the samples"
        if drowns
        else f"the class weights leave next to nothing of {told} in the loss",
        evidence={
            "class_weights": list(weights)[:20],
            "class": names[top],
            "fraction of the loss": weighed[top],
            "fraction of the samples": plain[top],
            "classes without a say": len(muted),
        },
        cause="the loss hardly knows the other classes: they will not be learnt"
        if drowns
        else "a class that costs nothing to get wrong is not learnt",
        remedies=[["loss.class_weights=balanced"], ["loss.class_weights=null"]],
    )
