"""Evidence made up for tests: records of a run that nobody ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expkit.diagnosis.evidence import Evidence
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata, StageResult

CONFIG: Mapping[str, Any] = {
    "name": "made_up",
    "seed": 0,
    "model": {"_target_": "expkit.models.conv.ConvNet", "init": "default", "widths": [16, 32]},
    "dataset": {"_target_": "expkit.data.datasets.digits.Digits", "normalize": "unit"},
    "augment": {"_target_": "expkit.augment.pipeline.Augmentation", "transforms": {}},
    "device": {"name": "auto", "precision": "auto", "deterministic": False},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.001, "_partial_": True},
    "schedule": {"_target_": "expkit.optim.schedule.Schedule", "shape": "constant"},
    "loss": {"_target_": "expkit.losses.cross_entropy.CrossEntropy"},
    "criteria": {},
    "diagnosis": {"stop_on": "never", "ignore": []},
    "procedure": {
        "train": {
            "_target_": "expkit.runner.stages.training.Training",
            "max_epochs": 50,
            "batch_size": 32,
            "max_gradient_norm": None,
        },
        "evaluate": {"_target_": "expkit.runner.stages.evaluation.Evaluation"},
    },
}


def make_metadata(
    train: Sequence[int] = (100,) * 10, val: Sequence[int] | None = (20,) * 10
) -> DatasetMetadata:
    """Facts on data with so many samples of each class."""
    given = {"train": train, **({} if val is None else {"val": val})}
    return DatasetMetadata(
        name="MadeUp",
        task="classification",
        class_names=tuple(f"class_{i}" for i in range(len(train))),
        target_names=None,
        image_shape=(1, 8, 8),
        splits={name: SplitMetadata(sum(c), tuple(c), name) for name, c in given.items()},
        layouts={},
    )


def make_history(stage: str = "train", **columns: Sequence[float]) -> list[dict[str, Any]]:
    """A line an epoch; `train__loss=[...]` is the column train/loss."""
    length = len(next(iter(columns.values())))
    return [
        {
            "stage": stage,
            "epoch": i + 1,
            "step": 32 * (i + 1),
            "lr": 0.001,
            "seconds": 1.0,
            **{name.replace("__", "/"): values[i] for name, values in columns.items()},
        }
        for i in range(length)
    ]


def make_signal(kind: str, stage: str = "train", epoch: int = 0, **content: Any) -> dict[str, Any]:
    return {"stage": stage, "kind": kind, "epoch": epoch, **content}


def make_evidence(
    *,
    metadata: DatasetMetadata | None = None,
    history: Sequence[Mapping[str, Any]] = (),
    signals: Sequence[Mapping[str, Any]] = (),
    stages: Sequence[StageResult] = (),
    overrides: Sequence[str] = (),
    predictions: Mapping[str, Any] | None = None,
    **config: Mapping[str, Any],
) -> Evidence:
    """Evidence of a run with the config above, but for the parts that are given."""
    return Evidence(
        config={**CONFIG, **config},
        metadata=metadata or make_metadata(),
        history=[dict(record) for record in history],
        signals=[dict(record) for record in signals],
        stages=list(stages),
        overrides=list(overrides),
        predictions=predictions or {},
    )
