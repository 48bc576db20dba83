"""Run folders with invented but plausible records, written as a real run writes them."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from expkit.metrics.predictions import ClassPredictions, Predictions, ValuePredictions
from expkit.records.files import write_json
from expkit.records.run.metadata import DatasetMetadata, Layout, SplitMetadata, StageResult
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder

GATE = {"_target_": "expkit.runner.stages.overfit.OverfitGate", "max_regression_loss": 0.001}
PROCEDURE = {
    "overfit_1": {**GATE, "max_steps": 2000, "max_loss": 0.01},
    "overfit_10": {**GATE, "max_steps": 500, "max_loss": 0.1},
    "train": {"_target_": "expkit.runner.stages.training.Training", "max_epochs": 40},
    "evaluate": {"_target_": "expkit.runner.stages.evaluation.Evaluation"},
}


def config_of(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": "larger_backbone",
        "seed": 0,
        "hypothesis": "A wider backbone tells the cells apart.",
        "compared_with": ["simple_conv"],
        "criteria": {"accuracy": "> 0.95", "top5_accuracy": "> 0.99"},
        "reference": None,
        "batch_size": 128,
        "output_dir": "/home/somebody/outputs",
        "dataset": {"_target_": "expkit.data.Puzzle"},
        "model": {"_target_": "expkit.models.Conv", "channels": [32, 64, 128, 256]},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001},
        "loss": {"_target_": "expkit.losses.cross_entropy.CrossEntropy"},
        "procedure": PROCEDURE,
    }
    return {**config, **changes}


def write_run(
    parent: Path,
    metadata: DatasetMetadata,
    *,
    name: str = "20260101_120000_larger_backbone",
    config: Mapping[str, Any] | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    stages: Sequence[StageResult] = (),
    predictions: Sequence[Predictions] = (),
    picture: np.ndarray | None = None,
    snapshots: Mapping[int, Mapping[str, np.ndarray]] | None = None,
    locked: bool = False,
) -> Run:
    overrides = ["model=larger_backbone", "image=/home/me/lake.jpg", "output_dir=/home/me"]
    environment = {"command": ["expkit", "train", *overrides]}
    folder = RunFolder.create(
        parent,
        name,
        {
            "config.yaml": yaml.safe_dump(dict(config or config_of()), sort_keys=False),
            "overrides.yaml": yaml.safe_dump(overrides),
            "environment.json": json.dumps(environment),
        },
    )
    write_json(folder.path / "dataset.json", metadata.to_json())
    for record in history:
        folder.append_history(record)
    for stage in stages:
        folder.append_stage(stage)
    if predictions:
        _write_predictions(folder, predictions)
    if picture is not None:
        for layout in metadata.layouts.values():
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, "JPEG", quality=90)
            (folder.path / layout.image).write_bytes(stream.getvalue())
    for epoch, arrays in (snapshots or {}).items():
        folder.write_snapshot("train", epoch, arrays)
    if not locked:
        folder.close()
    return Run(folder.path)


_TABLES: dict[str, bytes] = {}  # that of a whole puzzle takes a second to write


def _write_predictions(folder: RunFolder, predictions: Sequence[Predictions]) -> None:
    key = hashlib.sha256(pickle.dumps(predictions)).hexdigest()
    path = folder.path / "predictions.csv"
    if key not in _TABLES:
        folder.write_predictions(predictions)
        _TABLES[key] = path.read_bytes()
    path.write_bytes(_TABLES[key])


@functools.cache
def landscape(height: int, width: int) -> np.ndarray:
    """Sky, hills and some grain, so that an image drawn over it meets light and dark."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    hills = 0.35 * height / max(height, width) * (1.2 + np.sin(9 * x) * 0.3 + np.sin(31 * x) * 0.1)
    ground = y > hills
    random = np.random.default_rng(0)
    grain = random.normal(0, 0.06, (height, width))
    sky = np.stack([0.45 + 0.4 * y, 0.65 + 0.3 * y, 0.95 - 0.1 * y], -1)
    land = np.stack([0.35 + 0.3 * np.sin(40 * x * y), 0.5 - 0.2 * y, 0.2 + 0.1 * y], -1)
    return (np.clip(np.where(ground[..., None], land, sky) + grain[..., None], 0, 1) * 255).astype(
        np.uint8
    )


def answers(
    split: str,
    targets: np.ndarray,
    class_names: Sequence[str],
    share_right: float,
    seed: int = 0,
) -> ClassPredictions:
    """Softmax answers of which about a given share is right; the wrong ones lie near the truth."""
    random = np.random.default_rng(seed)
    num_samples, num_classes = len(targets), len(class_names)
    logits = random.normal(0, 1.5, (num_samples, num_classes))
    favourite = targets.copy()
    wrong = random.random(num_samples) >= share_right
    favourite[wrong] = (targets[wrong] + random.integers(1, 4, wrong.sum())) % num_classes
    logits[np.arange(num_samples), favourite] += 9
    logits[np.arange(num_samples), targets] += 3
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    own = probabilities[np.arange(num_samples), targets]
    return ClassPredictions(
        split=split,
        samples=[f"{split}_{i}" for i in range(num_samples)],
        targets=targets,
        predictions=probabilities.argmax(1),
        ranks=(probabilities > own[:, None]).sum(1),
        probabilities=probabilities.astype(np.float32),
        class_names=list(class_names),
    )


def gate_history(stage: str, num_steps: int) -> list[dict[str, Any]]:
    return [
        {
            "stage": stage,
            "epoch": step,
            "step": step,
            "train/loss": 6.9 * math.exp(-0.16 * step) + 0.001,
            "train/accuracy": float(step > 12),
            "lr": 0.001,
            "seconds": 0.01,
            "samples_per_second": 100.0,
            "at": 1.0e9 + step,
        }
        for step in range(1, num_steps + 1)
    ]


def train_history(
    num_epochs: int, chance_loss: float, *, held_out: bool = False, stage: str = "train"
) -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    lines = []
    for epoch in range(1, num_epochs + 1):
        loss = chance_loss * math.exp(-5 * epoch / num_epochs) * (1 + 0.1 * random.random())
        line = {
            "stage": stage,
            "epoch": epoch,
            "step": epoch * 8,
            "train/loss": loss,
            "train/accuracy": 1 - math.exp(-5 * epoch / num_epochs),
            "train/top5_accuracy": 1 - math.exp(-9 * epoch / num_epochs),
            "lr": 0.001 * (0.5 + 0.5 * math.cos(math.pi * epoch / num_epochs)),
            "seconds": 0.6,
            "samples_per_second": 1600.0,
            "at": 1.0e9 + epoch,
        }
        if held_out:
            line["val/loss"] = loss + 0.3 * (epoch / num_epochs) ** 2
            line["val/accuracy"] = 0.9 * line["train/accuracy"]
        lines.append(line)
    return lines


def passed(stage: str, kind: str, **more: Any) -> StageResult:
    reason = {
        "OverfitGate": "right with loss 0.0098 < 0.01 at step 40",
        "Training": "reached max_epochs",
        "Evaluation": "measured train",
    }[kind]
    return StageResult(stage, True, reason, kind, **more)


def finished_stages(num_epochs: int = 40) -> list[StageResult]:
    return [
        passed("overfit_1", "OverfitGate", num_epochs=40, seconds=1.2),
        passed("overfit_10", "OverfitGate", num_epochs=60, seconds=2.9),
        passed(
            "train",
            "Training",
            num_epochs=num_epochs,
            best_epoch=max(1, num_epochs - 3),
            seconds=24.4,
            samples_per_second=1600.0,
            peak_memory_bytes=912_000_000,
        ),
        passed("evaluate", "Evaluation", seconds=0.5, best_epoch=max(1, num_epochs - 3)),
    ]


def puzzle_metadata(rows: int, columns: int) -> DatasetMetadata:
    cells = tuple(range(rows * columns))
    names = tuple(f"r{i // columns:02d}_c{i % columns:02d}" for i in cells)
    split = SplitMetadata(len(cells), (1,) * len(cells), "f00d")
    layout = Layout("puzzle.jpg", rows, columns, cells)
    return DatasetMetadata(
        "puzzle", "classification", names, None, (3, 64, 64), {"train": split}, {"train": layout}
    )


def puzzle_run(
    parent: Path,
    rows: int = 25,
    columns: int = 38,
    *,
    share_right: float = 0.96,
    num_epochs: int = 40,
    snapshot_epochs: Sequence[int] = (1,),
    **more: Any,
) -> Run:
    metadata = puzzle_metadata(rows, columns)
    assert metadata.class_names is not None
    targets = np.arange(rows * columns)
    final = answers("train", targets, metadata.class_names, share_right)
    early = answers("train", targets, metadata.class_names, 0.2 * share_right)
    shown = np.linspace(0, len(targets) - 1, min(8, len(targets))).astype(int)
    snapshot = {
        "targets": targets,
        "predictions": early.predictions,
        "shown": shown,
        "probabilities": early.probabilities[shown],
    }
    history = [
        *gate_history("overfit_1", 40),
        *gate_history("overfit_10", 60),
        *train_history(num_epochs, math.log(max(2, len(targets)))),
    ]
    return write_run(
        parent,
        metadata,
        history=history,
        stages=finished_stages(num_epochs),
        predictions=[final],
        picture=landscape(max(rows * 32, 32), max(columns * 32, 32)),
        snapshots=dict.fromkeys(snapshot_epochs, snapshot),
        **more,
    )


def classes_run(
    parent: Path,
    class_names: Sequence[str] = tuple("0123456789"),
    *,
    share_right: float = 0.93,
    num_epochs: int = 30,
    per_class: int = 20,
    **more: Any,
) -> Run:
    """A classification with train, val and test."""
    num_classes = len(class_names)
    splits = {"train": 5 * per_class, "val": per_class, "test": per_class}
    metadata = DatasetMetadata(
        "digits",
        "classification",
        tuple(class_names),
        None,
        (1, 8, 8),
        {s: SplitMetadata(n * num_classes, (n,) * num_classes, s) for s, n in splits.items()},
        {},
    )
    predictions = [
        answers(
            split,
            np.repeat(np.arange(num_classes), count),
            class_names,
            share_right if split != "train" else (1 + share_right) / 2,
            seed=number,
        )
        for number, (split, count) in enumerate(splits.items())
    ]
    arguments: dict[str, Any] = {
        "history": train_history(num_epochs, math.log(num_classes), held_out=True),
        "stages": finished_stages(num_epochs),
        "predictions": predictions,
        **more,
    }
    return write_run(parent, metadata, **arguments)


def position_run(parent: Path, rows: int = 25, columns: int = 38, noise: float = 0.03) -> Run:
    """Where in the image a piece lies, as x and y between 0 and 1."""
    cells = np.arange(rows * columns)
    targets = np.stack(
        [(cells % columns + 0.5) / columns, (cells // columns + 0.5) / rows], 1
    ).astype(np.float32)
    random = np.random.default_rng(0)
    predicted = (targets + random.normal(0, noise, targets.shape)).astype(np.float32)
    split = SplitMetadata(len(cells), None, "f00d")
    metadata = DatasetMetadata(
        "puzzle",
        "regression",
        None,
        ("x", "y"),
        (3, 64, 64),
        {"train": split},
        {"train": Layout("puzzle.jpg", rows, columns, tuple(cells.tolist()))},
    )
    history = [
        {k: v for k, v in line.items() if "accuracy" not in k} for line in train_history(30, 0.1)
    ]
    names = [f"piece_{i}" for i in cells]
    return write_run(
        parent,
        metadata,
        name="20260101_120000_position",
        config=config_of(name="position", criteria={"rmse": "< 0.05", "r2": "> 0.9"}),
        history=history,
        stages=finished_stages(30),
        predictions=[ValuePredictions("train", names, targets, predicted, ("x", "y"))],
        picture=landscape(rows * 32, columns * 32),
    )


def failed_gate_run(parent: Path, **more: Any) -> Run:
    reason = "loss 6.857 after 500 epochs, not below 0.1; accuracy 10.00 %, not 100 %"
    stages = [
        finished_stages()[0],
        StageResult("overfit_10", False, reason, "OverfitGate", num_epochs=500, seconds=9.0),
    ]
    history = [*gate_history("overfit_1", 40), *gate_history("overfit_10", 500)]
    arguments: dict[str, Any] = {"stages": stages, "history": history, **more}
    return write_run(parent, puzzle_metadata(25, 38), **arguments)


def interrupted_run(parent: Path, *, locked: bool = False) -> Run:
    """Cut off in epoch 7 of training; still running where its lock is held."""
    return write_run(
        parent,
        puzzle_metadata(25, 38),
        stages=finished_stages()[:2],
        history=[*gate_history("overfit_1", 40), *train_history(40, 6.857)[:7]],
        locked=locked,
    )
