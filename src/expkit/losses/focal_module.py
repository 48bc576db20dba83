"""The focal loss's arithmetic, for classes and for probabilities of classes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FocalLoss(nn.Module):
    """Sum over classes of -w q (1 - p)^gamma ln p: q the smoothed target, p the prediction.

    The mean is that of torch's cross-entropy: over the weights of the right classes where targets
    are classes, over samples where they are probabilities (B x C).
    """

    weight: Tensor

    def __init__(self, gamma: float, label_smoothing: float, weight_C: Tensor) -> None:
        super().__init__()
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", weight_C, persistent=False)  # the config's, and no state

    def forward(self, logits_BC: Tensor, targets: Tensor) -> Tensor:
        return focal_loss(logits_BC, targets, self.weight, self.gamma, self.label_smoothing)


def focal_loss(
    logits_BC: Tensor, targets: Tensor, weight_C: Tensor, gamma: float, label_smoothing: float
) -> Tensor:
    """Return the mean focal loss of a batch, of classes or of probabilities of classes."""
    log_p_BC = functional.log_softmax(logits_BC, dim=1)
    # above 0: there the slope of x^gamma is infinite for gamma < 1
    doubt_BC = (-log_p_BC.expm1()).clamp_min(torch.finfo(log_p_BC.dtype).eps)
    wanted_BC = smoothed(targets, label_smoothing, len(weight_C), log_p_BC.dtype) * weight_C
    total = -(wanted_BC * doubt_BC**gamma * log_p_BC).sum()
    return total / (len(targets) if targets.is_floating_point() else weight_C[targets].sum())


def smoothed(
    targets: Tensor, label_smoothing: float, num_classes: int, dtype: torch.dtype
) -> Tensor:
    """Return targets as probabilities of classes, a part of each shared among all."""
    if not targets.is_floating_point():
        targets = functional.one_hot(targets, num_classes)
    return targets.to(dtype) * (1 - label_smoothing) + label_smoothing / num_classes
