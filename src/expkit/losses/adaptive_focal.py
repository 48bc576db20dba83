"""Focal loss whose class weights follow what the model predicts, and what it misses: log 5's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from expkit.losses.class_weights import weights_of_classes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class AdaptiveFocal:
    """Adaptive focal loss as configured; held-out loss takes the class weights given here alone."""

    task = "classification"

    gamma: Annotated[float, Ge(0)] = 2.0
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    class_weights: Sequence[Annotated[float, Gt(0)]] | Literal["balanced"] | None = None
    memory: Annotated[float, Ge(1)] = 1000.0
    min_factor: Annotated[float, Gt(0), Le(1)] = 0.25
    max_factor: Annotated[float, Ge(1)] = 4.0

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        """A plain one is cross-entropy: the gates' limits are stated in it."""
        import torch
        from torch import nn

        from expkit.losses.adaptive_focal_module import AdaptiveFocalLoss

        if plain:
            return nn.CrossEntropyLoss()
        assert class_counts is not None, "the task was checked before"
        given_C = weights_of_classes(self.class_weights, class_counts)
        counts_C = torch.tensor(class_counts, dtype=torch.float32)
        return AdaptiveFocalLoss(
            self.gamma,
            self.label_smoothing,
            torch.ones_like(counts_C) if given_C is None else given_C,
            fractions_C=counts_C / counts_C.sum(),
            memory=self.memory,
            limits=(self.min_factor, self.max_factor),
        )
