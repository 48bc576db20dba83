"""How nets are wired: nonlinearities left out, samples mixed, and what must not be taken for it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from expkit.probes.module_graph import ModuleGraph, affine_error, cross_sample_gradient

IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def chains(model: nn.Module) -> list[list[str]]:
    graph = ModuleGraph(model.eval())
    with torch.no_grad(), graph.open():
        model(IMAGES)
    return graph.chains()


class Net(nn.Module):
    """Two convolutions with something between them, and a head on their mean."""

    def __init__(self, between: Callable[[Tensor], Tensor], middle: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, middle, 3, padding=1)
        self.between = between
        self.second = nn.Conv2d(middle, 16, 3, padding=1)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        hidden: Tensor = self.second(self.between(self.first(images_BCHW)))
        return hidden.relu().mean((2, 3))


@pytest.mark.parametrize(
    "between", [nn.Identity(), nn.BatchNorm2d(8), nn.Dropout(), lambda x: x.contiguous()]
)
def test_missing_activation_is_found(between: Callable[[Tensor], Tensor]) -> None:
    """What is affine itself, or only hands on, is no activation."""
    assert chains(Net(between)) == [["first", "second"]]


@pytest.mark.parametrize(
    "between",
    [
        nn.ReLU(),
        nn.ReLU(inplace=True),
        functional.gelu,
        lambda x: x.relu_(),
        lambda x: functional.relu(x, inplace=True),
        nn.GroupNorm(2, 8),
        nn.MaxPool2d(2),
        lambda x: x * x.sigmoid(),
    ],
)
def test_activations_of_all_kinds_are_seen(between: Callable[[Tensor], Tensor]) -> None:
    """In place or not, as a module or as a function, an activation is one."""
    assert chains(Net(between)) == []


def test_a_bottleneck_is_no_fault() -> None:
    """Low rank is a reason for two linear layers in a row."""
    assert chains(Net(nn.Identity(), middle=2)) == []


def test_separable_convolutions_are_no_fault() -> None:
    """A convolution by channels and one by pixels in a row are cheaper than one of both."""
    model = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Conv2d(3, 8, 1), nn.Flatten())
    assert chains(model) == []


class Skip(Net):
    """The first answer also goes past the second layer, to an activation of its own."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        first = self.first(images_BCHW)
        return self.second(first).mean((2, 3)) + functional.pad(first.relu().mean((2, 3)), (0, 8))


def test_separable_convolutions_of_grey_pictures_are_no_fault() -> None:
    """Of one channel a depthwise convolution has one group, with and without a norm behind it."""
    for between in (nn.Identity(), nn.BatchNorm2d(1)):
        depthwise = nn.Conv2d(1, 1, 3, groups=1)
        net = nn.Sequential(depthwise, between, nn.Conv2d(1, 16, 1), nn.ReLU())
        assert chains(nn.Sequential(Grey(), net)) == []
    full = nn.Sequential(Grey(), nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3), nn.ReLU())
    assert chains(full) == [["1", "2"]]


class Grey(nn.Module):
    """Images of one channel."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.mean(1, keepdim=True)


def test_patches_and_fixed_filters_are_no_fault() -> None:
    """A patch embedding and a bank of filters stand before layers that learn, and need no bend."""
    assert chains(nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.Conv2d(16, 16, 1))) == []
    bank = nn.Conv2d(3, 16, 3).requires_grad_(False)
    assert chains(nn.Sequential(bank, nn.Conv2d(16, 16, 3))) == []
    assert chains(nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3))) == [["0", "1"]]


def test_a_functional_dropout_is_no_activation() -> None:
    """In eval mode it gives what it is given."""
    between = Net(lambda x: functional.dropout(x, 0.5, training=False))
    assert chains(between) == [["first", "second"]]


def test_small_weights_are_not_affine() -> None:
    """A tanh next to zero is all but straight; far from it, it is not."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 5))
    nn.init.normal_(net[1].weight, std=1e-4)
    error = affine_error(net, IMAGES)
    assert error is not None
    assert error > 1e-2


def test_a_shortcut_is_no_fault() -> None:
    """Where an answer is used otherwise too, the next layer's being linear is a shortcut."""
    assert chains(Skip(nn.Identity())) == []


def test_chain_through_pooling_and_flattening() -> None:
    """A head on pooled features of a convolution that has no activation."""
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)
    )
    assert chains(model) == [["0", "3"]]
    error = affine_error(model, IMAGES)
    assert error is not None
    assert error < 1e-5


def test_affine_error_of_a_net_with_activations() -> None:
    """A ReLU bends the map."""
    error = affine_error(Net(nn.ReLU()), IMAGES)
    assert error is not None
    assert error > 1e-2


def test_samples_do_not_mix() -> None:
    """Batch norm in eval mode keeps samples apart, to the bit."""
    assert cross_sample_gradient(Net(nn.BatchNorm2d(8)).eval(), IMAGES) == 0.0


def test_centring_over_the_batch_mixes_by_its_share() -> None:
    """x - mean over 6 samples: others count -1/6, oneself 5/6, so a fifth."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))

    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model

        def forward(self, images_BCHW: Tensor) -> Tensor:
            outputs: Tensor = self.net(images_BCHW)
            return outputs - outputs.mean(0)

    assert cross_sample_gradient(Centred(), IMAGES) == pytest.approx(0.2)


def test_a_batch_turned_round_is_all_of_others() -> None:
    """Answers to other samples alone: infinitely more than one's own."""

    class Turned(Net):
        def forward(self, images_BCHW: Tensor) -> Tensor:
            return super().forward(images_BCHW).roll(1, 0)

    assert cross_sample_gradient(Turned(nn.ReLU()), IMAGES) == math.inf
