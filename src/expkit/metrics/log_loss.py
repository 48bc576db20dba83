"""The log loss, clipped as scikit-learn clips it, so that it is one figure wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def log_losses(probabilities_NC: npt.NDArray[np.floating], targets_N: Ints) -> Floats:
    """-ln of the probability of each sample's right class, between bounds as scikit-learn's."""
    import numpy as np

    right = probabilities_NC[np.arange(len(targets_N)), targets_N].astype(np.float64)
    # a softmax underflows to 0, of which the logarithm would make the mean infinite
    smallest = np.finfo(np.float64).eps
    losses: Floats = -np.log(np.clip(right, smallest, 1 - smallest))
    return losses
