"""Losses, optimizers, schedules and transforms that are wrong in other ways than broken_parts'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from broken_parts import _all as all_parameters
from torch import Tensor, nn
from torch.nn import functional

from expkit.optim.schedule import Curve


@dataclass(frozen=True)
class OwnLoss:
    """A loss out of a notebook."""

    how: str
    task = "classification"

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        return OwnLossModule(self.how)


class OwnLossModule(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, outputs_BC: Tensor, targets: Tensor) -> Tensor:
        classes = torch.arange(outputs_BC.shape[1]).float()
        one_hot = functional.one_hot(targets, outputs_BC.shape[1]).float()
        match self.how:
            case "regression_of_class":  # the mean class number, as if classes had an order
                mean = (outputs_BC.sigmoid() * classes).mean(1)
                return (mean - targets).square().mean()
            case "kl_of_logits":  # kl_div wants log-probabilities
                return functional.kl_div(outputs_BC, one_hot, reduction="batchmean")
            case "margin_upside_down":
                right = (outputs_BC * one_hot).sum(1, keepdim=True)
                return (1 + right - outputs_BC).clamp_min(0).mean()
            case "always_class_0":  # labels of the wrong dtype, cast to bool and back, then cleared
                return functional.cross_entropy(outputs_BC, torch.zeros_like(targets))
            case "detached":
                return functional.cross_entropy(outputs_BC.detach(), targets).requires_grad_()
        raise AssertionError(self.how)


def of_vectors(params: Any, **options: Any) -> torch.optim.Optimizer:
    """The group without weight decay was given, the one with it was lost."""
    return torch.optim.Adam([p for p in all_parameters(params) if p.ndim == 1], **options)


def of_first_half(params: Any, **options: Any) -> torch.optim.Optimizer:
    """Collected before the head was replaced."""
    given = all_parameters(params)
    return torch.optim.Adam(given[: len(given) // 2], **options)


class ForgetfulRmsprop(torch.optim.RMSprop):
    """zero_grad stands in the branch of another mode."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        pass


class ForgetfulAdamW(torch.optim.AdamW):
    def zero_grad(self, set_to_none: bool = True) -> None:
        pass


@dataclass(frozen=True)
class Minima(Curve):
    """A decay for each step that was meant for each epoch: nothing is left after a sixth."""

    def scale_at(self, fraction: float) -> float:
        return float(0.5 ** (fraction * 120))


class ImageByImage(nn.Module):
    """Smoothed in numpy, one image after the other, many times."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        result = []
        for image in images_BCHW.numpy():
            smooth = image
            for _ in range(150):
                smooth = 0.5 * smooth + 0.25 * (np.roll(smooth, 1, -1) + np.roll(smooth, -1, -1))
            result.append(smooth)
        return torch.from_numpy(np.stack(result).astype(np.float32))


class Standardise(nn.Module):
    """Each image to its own mean and spread, which an empty page does not have."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        mean = images_BCHW.mean((1, 2, 3), keepdim=True)
        return (images_BCHW - mean) / images_BCHW.std((1, 2, 3), keepdim=True) / 6 + 0.5


class AnyQuarterTurn(nn.Module):
    """Turned by any quarter, where the direction is what the label says."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        turns = torch.randint(0, 4, (len(images_BCHW),))
        return torch.stack(
            [torch.rot90(i, int(k), (1, 2)) for i, k in zip(images_BCHW, turns, strict=True)]
        )
