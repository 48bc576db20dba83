"""Cross-entropy for classes, with smoothed labels and weighted classes where asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Lt

from expkit.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy as configured; `build` makes the module once the classes are known."""

    task = "classification"

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    class_weights: Sequence[Annotated[float, Gt(0)]] | Literal["balanced"] | None = None

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        """A plain one is for gates: smoothed labels cannot be learnt by heart."""
        from torch import nn

        if plain:
            return nn.CrossEntropyLoss()
        assert class_counts is not None, "the task was checked before"
        return nn.CrossEntropyLoss(
            weight=self._weights(class_counts), label_smoothing=self.label_smoothing
        )

    def _weights(self, class_counts: Sequence[int]) -> Tensor | None:
        import torch

        if self.class_weights is None:
            return None
        counts = torch.tensor(class_counts, dtype=torch.float32)
        if isinstance(self.class_weights, str):
            # N / (C n_c); a class without samples weighs nothing
            return torch.where(counts > 0, counts.sum() / (len(counts) * counts), 0.0)
        if len(self.class_weights) != len(class_counts):
            raise UserError(
                f"there are {len(class_counts)} classes and {len(self.class_weights)} weights",
                where="loss.class_weights",
                allowed="null, balanced, or a number for each class",
            )
        return torch.tensor(self.class_weights, dtype=torch.float32)
