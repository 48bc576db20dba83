"""Gradients in half precision, held against those in fp32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from line_learner import DEVICE, learner_of, line, points
from torch import Tensor, nn

from expkit.probes.precision import precision_gap
from expkit.training.device import Device

HALF = Device(torch.device("cpu"), "bf16", channels_last=True, compile=False, reason="")
SPLIT = points([0, 1, 2, 3], torch.tensor([[1.0], [2], [3], [4]]))


class Overflows(torch.autograd.Function):
    """Gives back the input, and under autocast a gradient a thousand times too long."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.factor = 1000.0 if torch.is_autocast_enabled("cpu") else 1.0
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * ctx.factor


class Broken(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = Overflows.apply(values)
        return result


def test_a_sound_net_computes_the_same() -> None:
    """bf16 rounds to a per cent."""
    gap = precision_gap(learner_of(line(), device=HALF), SPLIT, 4)
    assert gap is not None
    assert gap["bf16"] == pytest.approx(gap["fp32"], rel=0.02)


def test_a_broken_kernel_is_found() -> None:
    """The gradient behind it is a thousand times too long, and the parameter is named."""
    model = nn.Sequential(line(), Broken())
    gap = precision_gap(learner_of(model, device=HALF), SPLIT, 4)
    assert gap is not None
    assert gap["parameter"].startswith("0.1.")
    assert gap["bf16"] == pytest.approx(1000 * gap["fp32"], rel=0.02)


def test_fp32_is_not_held_against_itself() -> None:
    """There is nothing to compare."""
    assert precision_gap(learner_of(line(), device=DEVICE), SPLIT, 4) is None


def test_nothing_is_left_behind() -> None:
    """No gradient stays, and dropout draws afterwards what it would have drawn."""
    model = nn.Sequential(line(), nn.Dropout(0.5))
    learner = learner_of(model, device=HALF)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    precision_gap(learner, SPLIT, 4)
    assert torch.equal(torch.rand(3), expected)
    assert all(parameter.grad is None for parameter in model.parameters())
