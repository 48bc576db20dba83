"""Focal loss for classes: what the model is sure of already counts for less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Lt

from expkit.losses.class_weights import weights_of_classes
from expkit.losses.cross_entropy import CrossEntropy

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Focal:
    """Focal loss (Lin et al. 2017) as configured; with gamma 0 it is cross-entropy to the bit."""

    task = "classification"

    gamma: Annotated[float, Ge(0)] = 2.0
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    class_weights: Sequence[Annotated[float, Gt(0)]] | Literal["balanced"] | None = None

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        """A plain one is cross-entropy: the gates' limits are stated in it."""
        if plain or self.gamma == 0:
            source = CrossEntropy(self.label_smoothing, self.class_weights)
            return source.build(class_counts, plain=plain)
        import torch

        from expkit.losses.focal_module import FocalLoss

        assert class_counts is not None, "the task was checked before"
        weight_C = weights_of_classes(self.class_weights, class_counts)
        if weight_C is None:
            weight_C = torch.ones(len(class_counts))
        return FocalLoss(self.gamma, self.label_smoothing, weight_C)
