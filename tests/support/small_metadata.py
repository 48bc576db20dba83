"""What is recorded of two small data sets."""

from __future__ import annotations

from dataclasses import replace

from expkit.records.run.metadata import DatasetMetadata, SplitMetadata

SPLIT = SplitMetadata(4, (2, 2), "f")
DIGITS = DatasetMetadata(
    name="Digits",
    task="classification",
    class_names=("a", "b"),
    target_names=None,
    image_shape=(1, 8, 8),
    splits={"train": SPLIT, "val": SPLIT, "test": SPLIT},
    layouts={},
)
POSITIONS = replace(
    DIGITS,
    task="regression",
    class_names=None,
    target_names=("x", "y"),
    splits={"train": replace(SPLIT, class_counts=None)},
)
