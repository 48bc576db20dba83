"""Activations that are functions: measured as layers are, and none of them twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.probes.activations import FunctionWatch

IMAGES = torch.linspace(-1, 1, 32).reshape(4, 8)


class Net(nn.Module):
    """A layer of constant answers, and a function of them."""

    def __init__(self, function: Callable[[Tensor], Tensor], bias: float) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 6)
        nn.init.constant_(self.layer.bias, bias)
        nn.init.zeros_(self.layer.weight)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer(x))


@pytest.mark.parametrize("function", [torch.relu, functional.relu, Tensor.relu, Tensor.relu_])
def test_a_dead_rectifier(function: Callable[[Tensor], Tensor]) -> None:
    """However it is called, its units are seen to rest, behind the layer that it stands behind."""
    net = Net(function, -1.0)
    watch = FunctionWatch(net, 4)
    with torch.no_grad(), watch.open():
        net(IMAGES)
    (row,) = watch.read()
    assert (row["behind"], row["units"], row["dead_fraction"]) == ("layer", 6, 1.0)
    assert row["saturated_fraction"] is None


@pytest.mark.parametrize(("bias", "share"), [(8.0, 1.0), (0.5, 0.0)])
def test_a_saturated_tanh(bias: float, share: float) -> None:
    """tanh(8) is at its limit, tanh(0.5) = 0.46 is not."""
    net = Net(torch.tanh, bias)
    watch = FunctionWatch(net, 4)
    with torch.no_grad(), watch.open():
        net(IMAGES)
    (row,) = watch.read()
    assert row["saturated_fraction"] == share


def test_what_a_layer_calls_is_its_own() -> None:
    """nn.ReLU calls the function too, and is measured as a layer."""
    net = nn.Sequential(nn.Linear(8, 6), nn.ReLU())
    watch = FunctionWatch(net, 4)
    with torch.no_grad(), watch.open():
        net(IMAGES)
    assert watch.read() == []
