"""Evidence of runs with predictions of which it is known how many are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from synthetic_evidence import make_evidence, make_history

from expkit.diagnosis.evidence import Evidence
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.metadata import DatasetMetadata, StageResult

TRAINED = StageResult("train", True, "50 of 50 epochs; best epoch 50", "Training", best_epoch=1)
EVALUATED = StageResult("evaluate", True, "done", "Evaluation")


def answers(targets: Sequence[int], predictions: Sequence[int], split: str = "val") -> Any:
    num_classes = max(*targets, *predictions) + 1
    right = np.array(targets) == np.array(predictions)
    return ClassPredictions(
        split=split,
        samples=[f"sample_{i}" for i in range(len(targets))],
        targets=np.array(targets),
        predictions=np.array(predictions),
        ranks=np.where(right, 0, 1),
        probabilities=np.eye(num_classes, dtype=np.float32)[np.array(predictions)],
        class_names=[f"class_{i}" for i in range(num_classes)],
    )


def with_right(num_right: int, total: int, shift: int = 0) -> Any:
    """Two classes, half and half, so many right; wrong ones begin at `shift`."""
    targets = np.arange(total) % 2
    wrong = (np.arange(total - num_right) + shift) % total
    predictions = targets.copy()
    predictions[wrong] = 1 - predictions[wrong]
    return answers(targets.tolist(), predictions.tolist())


def evaluated(
    facts: DatasetMetadata, val: Any, num_epochs: int = 10, last_loss: float = 1.0, **config: Any
) -> Evidence:
    losses = np.linspace(2, last_loss, num_epochs).tolist()
    half = [0.5] * num_epochs
    history = make_history(
        train__loss=losses, val__loss=losses, train__accuracy=half, val__accuracy=half
    )
    return make_evidence(
        metadata=facts,
        history=history,
        stages=[TRAINED, EVALUATED],
        predictions={"val": val},
        **config,
    )
