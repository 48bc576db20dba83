"""A learner that fits a line to points, small enough to follow by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.losses.squared_error import SquaredError
from expkit.training.device import Device
from expkit.training.learner import Learner

DEVICE = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
LINE = Normalizer(torch.ones(1), torch.zeros(1))  # a pixel is its own number


def points(xs: Sequence[int], targets: Tensor) -> Split:
    """Images of one pixel, x."""
    images = torch.tensor(xs, dtype=torch.uint8).view(-1, 1, 1, 1)
    return Split("train", images, targets, [str(x) for x in xs], None, LINE)


def line(num_outputs: int = 1) -> nn.Sequential:
    """y = w x + b, from zero."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, num_outputs))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


def learner_of(
    model: nn.Module,
    lr: float = 0.1,
    optimizer: torch.optim.Optimizer | None = None,
    device: Device = DEVICE,
    **options: Any,
) -> Learner:
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=lr)
    given = {"scale": lambda epochs, max_epochs: 1.0, **options}
    return Learner(model, optimizer, SquaredError().build(None), device, **given)


def numbers(model: nn.Module) -> list[float]:
    return [number for p in model.parameters() for number in p.detach().flatten().tolist()]


# at w = b = 0 the loss is (1 + 4) / 2 and its gradient (w: -2, b: -3)
TWO_POINTS = points([0, 1], torch.tensor([[1.0], [2.0]]))
