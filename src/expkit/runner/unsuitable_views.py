"""Refusing test-time augmentation where a view is no image of the kind that a model knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expkit.errors import UserError
from expkit.records.run.metadata import DatasetMetadata
from expkit.training.arguments import View

PARTS: Mapping[str, Sequence[str]] = {"flips": ("horizontal_flip", "vertical_flip")}
CROPS = ("five_crops", "center_crops")


def refuse_unsuitable(views: Sequence[View], metadata: DatasetMetadata, where: str) -> None:
    """Refuse views under which this data's labels or images would be others."""
    if not views:
        return
    if metadata.class_names is None:
        raise UserError(
            "test-time augmentation averages probabilities, and this model predicts numbers",
            where=where,
            fix="leave it out: a view of an image may well have other targets",
        )
    if len(set(views)) < len(views):
        raise UserError("a view is named twice, and would count twice", where=where)
    for view in views:
        for part in (view, *PARTS.get(view, ())):
            if reason := _reason(part, metadata):
                suited = [each for each in _others(view) if not _reason(each, metadata)]
                raise UserError(
                    f"'{view}' does not suit this data: {reason}",
                    where=where,
                    allowed=", ".join(suited) or "none of the views",
                )


def _others(view: str) -> list[str]:
    names = ("horizontal_flip", "vertical_flip", *CROPS)
    return [name for name in names if name != view]


def _reason(view: str, metadata: DatasetMetadata) -> str:
    normalizer = metadata.preprocessing.get("normalizer") or {}
    if view in CROPS and normalizer.get("by") == "row":
        return "each line is normalized as a whole, and a crop has parts of lines, blended"
    return metadata.unsuitable_views.get(view, "")
