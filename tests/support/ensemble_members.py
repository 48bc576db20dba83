"""Runs that could be members of an ensemble: records as a training leaves them, and no net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_runs import config_of, passed, write_run

from expkit.metrics.predictions import ClassPredictions, Predictions, ValuePredictions
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.records.run.reader import Run

NAMES = ("cat", "dog")
TARGETS = [0, 0, 0, 0, 1, 1, 1, 1]
CONV = {"_target_": "expkit.models.conv.ConvNet", "_partial_": True, "widths": [2]}
PROCEDURE = {
    "train": {"_target_": "expkit.runner.stages.training.Training", "max_epochs": 2},
    "evaluate": {"_target_": "expkit.runner.stages.evaluation.Evaluation"},
}
METADATA = DatasetMetadata(
    name="Images",
    task="classification",
    class_names=NAMES,
    target_names=None,
    image_shape=(1, 4, 4),
    splits={name: SplitMetadata(8, (4, 4), name) for name in ("train", "val", "test")},
    layouts={},
    preprocessing={
        "decoding": {"size": [4, 4], "channels": 1},
        "normalizer": {"by": "channel", "scale": [1.0], "shift": [0.0]},
    },
)
NUMBERS = replace(
    METADATA,
    task="regression",
    class_names=None,
    target_names=("x",),
    splits={name: SplitMetadata(8, None, name) for name in ("train", "val", "test")},
)


def predicted(split: str, classes: Sequence[int], sure: float = 0.9) -> ClassPredictions:
    """Predictions of these classes, each with so high a probability."""
    chosen, targets = np.array(classes), np.resize(TARGETS, len(classes))
    table = np.where(np.arange(2) == chosen[:, None], sure, 1 - sure).astype(np.float32)
    names = [f"{split}_{place}" for place in range(len(classes))]
    ranks = (chosen != targets).astype(np.int64)
    return ClassPredictions(split, names, targets, chosen, ranks, table, NAMES)


def guessed(split: str, numbers: Sequence[float]) -> ValuePredictions:
    """Predictions of numbers whose targets are all 0."""
    values = np.array([numbers], np.float32).T
    names = [f"{split}_{place}" for place in range(len(numbers))]
    return ValuePredictions(split, names, np.zeros_like(values), values, ("x",))


def every_split(classes: Sequence[int] = TARGETS) -> list[Predictions]:
    return [predicted(split, classes) for split in ("train", "val", "test")]


def member(
    parent: Path,
    name: str,
    predictions: Sequence[Predictions] | None = None,
    metadata: DatasetMetadata = METADATA,
    stages: int = 2,
    **config: Any,
) -> Run:
    """A run that has trained and was evaluated; `stages` of the two have passed."""
    device = {"_target_": "expkit.training.device.DeviceChoice"}
    given = {"name": name, "model": CONV, "procedure": PROCEDURE, "device": device, **config}
    done = [
        passed("train", "Training", best_epoch=2, num_epochs=2),
        passed("evaluate", "Evaluation"),
    ]
    run = write_run(
        parent,
        metadata,
        name=name,
        config=config_of(**given),
        stages=done[:stages],
        predictions=every_split() if predictions is None else predictions,
    )
    folder = run.path / "checkpoints" / "train"
    folder.mkdir(parents=True)
    (folder / "best.safetensors").write_bytes(name.encode())
    return run
