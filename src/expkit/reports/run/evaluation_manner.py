"""Test-time augmentation and temperature of an evaluation: what they cost, and what they gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.metrics.mcnemar import McNemar
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.reader import Run
from expkit.sanitize import one_line


def manner_of(run: Run) -> dict[str, Any]:
    """Return what summary.json says of it; nothing where the softmax was plain."""
    temperature = float(run.evaluation.get("temperature", 1.0))
    found: dict[str, Any] = {} if temperature == 1 else {"temperature": temperature}
    if views := run.evaluation.get("tta"):
        found["tta"] = {
            "views": [one_line(view) for view in views],
            **_cost(run),
            **_gain(run),
        }
    return found


def _cost(run: Run) -> dict[str, float | None]:
    """Passes and seconds an image, and the seconds of the plain model just before."""
    stages = [stage for stage in run.stages if stage.kind == "Evaluation"]
    figures = (stages[-1].figures if stages else None) or {}
    return {
        name: figures.get(name)
        for name in ("passes", "seconds_per_image", "plain_seconds_per_image")
    }


def _gain(run: Run) -> Mapping[str, Any]:
    """The accuracy gained over the plain model on the same samples, by McNemar's exact test."""
    split = run.dataset.judged_split
    ours, theirs = run.predictions.get(split), run.plain_predictions.get(split)
    if not isinstance(ours, ClassPredictions) or not isinstance(theirs, ClassPredictions):
        return {}
    if list(ours.samples) != list(theirs.samples):
        return {}
    pair = McNemar.of(ours.ranks == 0, theirs.ranks == 0)
    return {
        "split": split,
        "num_samples": pair.num_samples,
        "num_more_right": pair.num_more,
        "gain": pair.num_more / pair.num_samples,
        "gain_interval": list(pair.interval()),
        "p": pair.p,
    }
