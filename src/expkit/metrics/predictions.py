"""Predictions of a model for every sample of a split, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClassPredictions:
    """Predicted classes, as indices into the class names, and every probability."""

    split: str
    samples: Sequence[str]
    targets: Ints
    predictions: Ints
    ranks: Ints  # of the target among the classes; 0 is right
    probabilities: Floats  # samples x classes
    class_names: Sequence[str]
    uncertainties: Floats | None = None  # of a model that predicts its noise: entropies


@dataclass(frozen=True)
class ValuePredictions:
    """A true and a predicted number for each target name."""

    split: str
    samples: Sequence[str]
    targets: Floats  # samples x targets
    predictions: Floats
    target_names: Sequence[str]


Predictions = ClassPredictions | ValuePredictions
