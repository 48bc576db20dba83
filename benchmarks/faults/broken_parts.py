"""Losses, optimizers, schedules and augmentation with a mistake in them, given as `_target_`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.optim.schedule import Curve


@dataclass(frozen=True)
class WrongLoss:
    """A loss in the user's own words; gates take it too."""

    how: str
    task = "classification"

    def build(self, class_counts: Sequence[int] | None, *, plain: bool = False) -> nn.Module:
        return WrongLossModule(self.how)


class WrongLossModule(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, outputs_BC: Tensor, targets: Tensor) -> Tensor:
        match self.how:
            case "nll_of_logits":  # log_softmax forgotten: it falls without end
                return functional.nll_loss(outputs_BC, targets)
            case "negated":
                return -functional.cross_entropy(outputs_BC, targets)
            case "class_number":  # the largest answer against the class's number
                return (outputs_BC.mean(1) - targets).square().mean()
            case "sum":
                return functional.cross_entropy(outputs_BC, targets, reduction="sum")
            case "tiny":  # weighted among other terms that are long gone
                return functional.cross_entropy(outputs_BC, targets) * 1e-6
            case "accuracy":  # it has no slope
                return (outputs_BC.argmax(1) != targets).float().mean()
            case "wrong_targets":  # a copy of the batch's labels in another order
                return functional.cross_entropy(outputs_BC, targets.flip(0))
        raise AssertionError(self.how)


def of_copies(params: Any, **options: Any) -> torch.optim.Optimizer:
    """Over copies of the parameters: as of a net that was moved or rebuilt afterwards."""
    return torch.optim.Adam(
        [nn.Parameter(each.detach().clone()) for each in _all(params)], **options
    )


def of_last_layer(params: Any, **options: Any) -> torch.optim.Optimizer:
    """Over the last layer alone, though nothing else was meant to stand still."""
    return torch.optim.Adam(_all(params)[-2:], **options)


def of_weights_only(params: Any, **options: Any) -> torch.optim.Optimizer:
    """Over every other parameter: a list comprehension that left some out."""
    return torch.optim.Adam(_all(params)[::2], **options)


def _all(params: Any) -> list[Tensor]:
    groups = list(params)
    if groups and isinstance(groups[0], dict):
        return [each for group in groups for each in group["params"]]
    return groups


class NeverCleared(torch.optim.SGD):
    """zero_grad forgotten: gradients of all steps add up."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        pass


class AdamNeverCleared(torch.optim.Adam):
    """The same, whose steps are as long as ever and go where they always went."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        pass


@dataclass(frozen=True)
class EndsEarly(Curve):
    """Counted in epochs where steps were meant: at zero after a tenth."""

    def scale_at(self, fraction: float) -> float:
        return max(0.0, 1 - 10 * fraction)


@dataclass(frozen=True)
class Explodes(Curve):
    """The factor of a decay the wrong way up: the rate grows."""

    def scale_at(self, fraction: float) -> float:
        return float(10 ** (5 * fraction))


class Slow(nn.Module):
    """Images fetched over a slow line."""

    def __init__(self, seconds: float = 0.06) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, images_BCHW: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return images_BCHW


class Blank(nn.Module):
    """An augmentation with its probability the wrong way round: nearly nothing is left."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        kept = torch.rand(len(images_BCHW), 1, 1, 1, device=images_BCHW.device) < 0.05
        return images_BCHW * kept


class Divides(nn.Module):
    """Contrast stretched by each image's own range: NaN where it has none."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        low = images_BCHW.amin((1, 2, 3), keepdim=True)
        high = images_BCHW.amax((1, 2, 3), keepdim=True)
        return (images_BCHW - low) / (high - low)
