"""Class weights of a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from expkit.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def weights_of_classes(
    wanted: Sequence[float] | Literal["balanced"] | None, class_counts: Sequence[int]
) -> Tensor | None:
    """A weight for each class, as given or from the training split's counts."""
    import torch

    if wanted is None:
        return None
    counts = torch.tensor(class_counts, dtype=torch.float32)
    if isinstance(wanted, str):
        # N / (C n_c); a class without samples weighs nothing
        return torch.where(counts > 0, counts.sum() / (len(counts) * counts), 0.0)
    if len(wanted) != len(class_counts):
        raise UserError(
            f"there are {len(class_counts)} classes and {len(wanted)} weights",
            where="loss.class_weights",
            allowed="null, balanced, or a number for each class",
        )
    return torch.tensor(wanted, dtype=torch.float32)
