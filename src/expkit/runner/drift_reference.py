"""Held-out predictions and training images of a run, to hold new images against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from expkit.data.audit.data_profile import MOST_FOR_GRAIN
from expkit.metrics.drift import DriftWatch, HeldOut, TrainingImages
from expkit.metrics.predictions import ClassPredictions, Predictions
from expkit.records.run.reader import Run
from expkit.reports.run.temperature_fit import predictions_at
from expkit.runner.prediction_manner import Manner

MOST = 10**12  # images, of which no run has more
LOW_FRACTION = 0.1  # of the held-out predictions that count as of low confidence
CHANNELS: Mapping[int, Sequence[str]] = {1: ("grey",), 3: ("red", "green", "blue")}


def channel_names(run: Run) -> Sequence[str]:
    """The names of an image's channels; files are decoded to one or three."""
    return CHANNELS.get(run.dataset.image_shape[0], ())


def watch_drift(run: Run, manner: Manner) -> tuple[DriftWatch, list[str]]:
    """A watch against the run's records, with remarks on what cannot be watched."""
    held_out, no_predictions = read_held_out(run, manner)
    images, no_images = read_training_images(run)
    remarks = {"predictions": no_predictions, "image statistics": no_images}
    return DriftWatch(held_out, images), [
        f"drift of {what} is not looked for: {why}" for what, why in remarks.items() if why
    ]


def read_held_out(run: Run, manner: Manner) -> tuple[HeldOut | None, str]:
    """The run's held-out predictions, made in the same manner; or why there are none."""
    trained = run.trained
    split = trained.dataset.judged_split
    if trained.dataset.class_names is None:
        return None, ""
    if split == "train":
        return None, "the run has no held-out samples"
    predictions: Predictions | None
    if not manner.views:
        predictions = predictions_at(trained, split, manner.temperature)
    elif _has_manner(trained, manner):
        predictions = trained.predictions.get(split)
    else:
        return None, "the run's evaluation averaged no such views"
    if not isinstance(predictions, ClassPredictions) or not len(predictions.targets):
        return None, f"the run recorded no predictions on {split}"
    return describe_held_out(predictions), ""


def describe_held_out(predictions: ClassPredictions) -> HeldOut:
    """The confidence that a tenth of the predictions is below, and how often each class is."""
    import numpy as np

    # as the cells of a CSV have them
    confidences = [float(f"{e:.6g}") for e in predictions.probabilities.max(axis=1).tolist()]
    low = float(np.quantile(confidences, LOW_FRACTION, method="lower"))
    names = predictions.class_names
    counts = np.bincount(predictions.probabilities.argmax(axis=1), minlength=len(names))
    return HeldOut(
        low=low,
        num_low=sum(not each >= low for each in confidences),
        class_counts=dict(zip(names, counts.tolist(), strict=True)),
    )


def read_training_images(run: Run) -> tuple[TrainingImages | None, str]:
    """The statistics of the run's training images; or why there are none."""
    profiles = [record for record in run.trained.signals if record["kind"] == "data"]
    if not profiles:
        return None, "the run recorded no data profile (a procedure with a preflight does)"
    try:
        return _parse_profile(profiles[-1], channel_names(run)), ""
    except (KeyError, TypeError, ValueError, OverflowError):
        return None, "the run's data profile cannot be read"


def _parse_profile(record: Mapping[str, Any], channels: Sequence[str]) -> TrainingImages:
    train = record["splits"]["train"]
    lower, _, upper = map(_finite, train["quartiles_of_means"])
    least_grain, _, most_grain = map(_finite, train["grain"])
    levels, stds = (tuple(map(_finite, train[name])) for name in ("mean", "std_of_means"))
    count = int(train["num_looked_at"])
    if not len(levels) == len(stds) == len(channels) or not 1 <= count <= MOST:
        raise ValueError("it is of other images")
    return TrainingImages(
        channels=channels,
        levels=levels,
        stds=stds,
        brightness=(round(lower, 2), round(upper, 2)),
        num_images=count,
        grain=(round(least_grain, 2), round(most_grain, 2)),
        num_grain=min(count, MOST_FOR_GRAIN),
    )


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("it holds what is no number")
    return number


def _has_manner(run: Run, manner: Manner) -> bool:
    """Tell whether the run's evaluation averaged the same views at the same temperature."""
    temperature = float(run.evaluation.get("temperature", 1.0))
    views = list(run.evaluation.get("tta") or ())
    return views == list(manner.views) and temperature == manner.temperature
