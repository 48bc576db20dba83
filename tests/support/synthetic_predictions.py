"""Predictions of two classes, small enough to count by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from expkit.metrics.predictions import ClassPredictions


def of_two(
    targets: Sequence[int], scores: Sequence[float], names: Sequence[str] = ("clean", "pit")
) -> ClassPredictions:
    """The scores are the probabilities of the second class; a half goes to the first."""
    table = np.array([[1 - score, score] for score in scores], dtype=np.float32)
    predictions = table.argmax(1)
    return ClassPredictions(
        "val",
        [str(i) for i in range(len(targets))],
        np.array(targets),
        predictions,
        (predictions != np.array(targets)).astype(np.int64),
        table,
        list(names),
    )


# 2 of 3 pits found, 1 of 5 clean ones called a pit
PITS = of_two([0, 0, 0, 0, 0, 1, 1, 1], [0.1, 0.1, 0.2, 0.2, 0.7, 0.3, 0.8, 0.9])
