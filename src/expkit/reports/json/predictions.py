"""The document of `expkit predict`: what a run's model predicts for image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.reports.json.header import Document


@dataclass(frozen=True)
class RankedClass:
    """A class with its probability."""

    class_name: str
    probability: float | None


@dataclass(frozen=True)
class PredictedImage:
    """One image file."""

    file: str  # as it was given, or found below a folder
    error: str | None  # why it could not be read; what follows is empty then
    prediction: str | None  # the most probable class; null of a model that predicts numbers
    confidence: float | None  # its probability
    decision: str | None  # the class by the confirmed thresholds, or maybe; null without any
    top: Sequence[RankedClass]  # as many as --top asks for, the most probable first
    values: Mapping[str, float | None]  # of a model that predicts numbers
    uncertainty: float | None  # of a model that predicts it


@dataclass(frozen=True, kw_only=True)
class PredictionsDocument(Document):
    """The images in the order in which they were given, and in a folder by their names."""

    schema: Literal["expkit/predictions"] = "expkit/predictions"
    run: str
    path: str
    class_names: Sequence[str] | None  # null of a model that predicts numbers
    probabilities: str | None  # the temperature and the views that made them, where there are any
    thresholds: Sequence[str]  # the classes whose thresholds decide
    unused_thresholds: Mapping[str, str]  # by class, why they decide nothing here
    num_images: int
    num_failed: int  # that could not be read
    predictions: Sequence[PredictedImage]
