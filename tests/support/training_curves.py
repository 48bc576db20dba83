"""What curves of losses are tried with: a procedure, and noise that is the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from synthetic_evidence import CONFIG


def procedure(weights: str = "best", **train: Any) -> dict[str, Any]:
    stages = CONFIG["procedure"]
    return {
        "train": {**stages["train"], **train},
        "evaluate": {**stages["evaluate"], "of": None, "weights": weights},
    }


def wiggle(num_epochs: int, size: float, seed: int = 0) -> list[float]:
    """Noise that is the same in every run of the tests."""
    return np.random.default_rng(seed).normal(0, size, num_epochs).tolist()
