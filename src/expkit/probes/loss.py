"""The loss of made-up outputs: does it reward correct predictions, and pull towards them?"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.probes.preserve_state import preserve_state
from expkit.training.device import Device

SCALES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # of logits, from unsure to certain
CERTAIN = 10.0
MAX_TARGETS = 256  # of evenly spaced classes: thousands of classes need no square of them


def probe_loss(
    loss: nn.Module, num_outputs: int, targets: Tensor, device: Device
) -> dict[str, Any]:
    """The loss on outputs that know everything, nothing, or the wrong class.

    `targets` are some of the training targets: they tell classes from numbers to predict. A loss
    that refuses such outputs is recorded with its `error`.
    """
    with preserve_state(loss):
        loss.train()
        try:
            if targets.is_floating_point():
                return _probe_numbers(loss, targets[:MAX_TARGETS])
            return _probe_classes(loss, num_outputs, device.torch_device)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            return {"error": (str(error).strip().splitlines() or [type(error).__name__])[0]}


def _probe_classes(loss: nn.Module, num_classes: int, device: torch.device) -> dict[str, Any]:
    count = min(num_classes, MAX_TARGETS)
    targets = torch.linspace(0, num_classes - 1, count).round().long().to(device)
    right_BC = functional.one_hot(targets, num_classes).float()
    wrong_BC = right_BC.roll(1, dims=1)
    uniform_BC = torch.zeros_like(right_BC, requires_grad=True)
    at_uniform = loss(uniform_BC, targets)
    gradient_BC = _gradient_of(at_uniform, uniform_BC)
    plain_BC = _gradient_of(functional.cross_entropy(uniform_BC, targets), uniform_BC)
    assert plain_BC is not None
    with torch.no_grad():
        at_scales = {scale: loss(scale * right_BC, targets).item() for scale in SCALES}
        at_right = loss(CERTAIN * right_BC, targets).item()
        at_wrong = loss(CERTAIN * wrong_BC, targets).item()
    best_scale = min(at_scales, key=lambda scale: at_scales[scale])
    has_gradient = gradient_BC is not None
    if gradient_BC is None:
        gradient_BC = torch.zeros_like(plain_BC)
    strength = gradient_BC.norm() / plain_BC.norm() if num_classes > 1 else gradient_BC.norm()
    return {
        "at_uniform": at_uniform.item(),
        "at_right": at_right,
        "at_wrong": at_wrong if num_classes > 1 else None,
        "best": at_scales[best_scale],
        "best_scale": best_scale,
        "gradient_at_uniform": strength.item(),
        "target_gradient": (gradient_BC * right_BC).sum().item(),  # the mean's 1 / B is in it
        "has_gradient": has_gradient,
        "chance": math.log(num_classes),
    }


def _probe_numbers(loss: nn.Module, targets_BT: Tensor) -> dict[str, Any]:
    """Off by the targets' own std is wrong: as far as another sample's target is."""
    std_T = targets_BT.std(0, correction=0)
    right_BT = targets_BT.detach().clone()
    wrong_BT = (right_BT + torch.where(std_T > 0, std_T, 1.0)).requires_grad_()
    at_wrong = loss(wrong_BT, targets_BT)
    gradient_BT = _gradient_of(at_wrong, wrong_BT)
    with torch.no_grad():
        at_right = loss(right_BT, targets_BT).item()
    return {
        "at_right": at_right,
        "at_wrong": at_wrong.item(),
        "has_gradient": gradient_BT is not None,
    }


def _gradient_of(value: Tensor, outputs: Tensor) -> Tensor | None:
    """None where the value does not hang on the outputs at all."""
    if not value.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(value, outputs, allow_unused=True)
    return gradient
