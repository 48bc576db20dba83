"""The nets of the logs: their sizes, their default weights, and the options that change them."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from expkit.models.conv import ConvNet, num_groups

CONF = Path(__file__).parents[2] / "conf"


def configured(model: str, **options: Any) -> nn.Module:
    """A model as its YAML has it, at the puzzle's shapes."""
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate

    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(
            "config", [f"model={model}", *(f"model.{k}={v}" for k, v in options.items())]
        )
    net: nn.Module = instantiate(config.model)(image_shape=(3, 64, 64), num_outputs=950)
    return net


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def small(*widths: int, seed: int = 0, **options: Any) -> ConvNet:
    torch.manual_seed(seed)
    return ConvNet(widths or (4, 6), image_shape=(3, 8, 8), num_outputs=5, **options)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("simple_conv", 85_334), ("deep_head", 659_158), ("larger_backbone", 632_566)],
)
def test_parameter_counts_of_the_logs(model: str, expected: int) -> None:
    """The YAMLs build the very nets of the logs at 950 classes."""
    assert num_parameters(configured(model)) == expected


def test_backbone_of_the_logs() -> None:
    """larger_backbone has 388,416 of its parameters before the head."""
    backbone = configured("larger_backbone").backbone
    assert isinstance(backbone, nn.Module)
    assert num_parameters(backbone) == 388_416


def test_options_reach_the_net_from_the_yaml() -> None:
    """Dropout adds no parameter; batch norm's scale and shift replace each bias: 112 more."""
    assert num_parameters(configured("simple_conv", dropout=0.5)) == 85_334
    assert num_parameters(configured("simple_conv", norm="batch")) == 85_334 + 16 + 32 + 64


def test_defaults_are_torchs_own_net() -> None:
    """With init=default, norm=none and dropout=0 a seed gives the weights of a net by hand."""
    ours = small(seed=11, hidden=(7,), init="default", norm="none", dropout=0.0)
    torch.manual_seed(11)
    by_hand = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 7),
        nn.ReLU(),
        nn.Linear(7, 5),
    )
    for left, right in zip(ours.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(left, right)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(ours(images), by_hand(images))


def test_each_convolution_halves_and_any_size_is_pooled() -> None:
    """8 x 8 becomes 2 x 2 after two; and the same net takes 9 x 31."""
    net = small()
    assert net.backbone[:2](torch.zeros(1, 3, 8, 8)).shape == (1, 6, 2, 2)
    assert net(torch.zeros(2, 3, 9, 31)).shape == (2, 5)


def test_outputs_are_logits() -> None:
    """No ReLU stands after the last layer: half the outputs may be below 0."""
    assert (small()(torch.randn(20, 3, 8, 8)) < 0).any()


@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_kaiming_draws_by_fan_in(norm: str) -> None:
    """Standard deviation sqrt(2 / fan_in) in every layer, and no bias at the start."""
    net = small(32, 48, hidden=(64,), init="kaiming", norm=norm)
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) == 4
    for layer in layers:
        expected = math.sqrt(2 / layer.weight[0].numel())
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.15)
        assert layer.bias is None or not layer.bias.any()


def test_xavier_draws_by_both_fans() -> None:
    """Standard deviation sqrt(2 / (fan_in + fan_out)), of which 3x3 kernels count 9."""
    weight = small(32, 48, init="xavier").backbone[1][0].weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * (32 + 48))), rel=0.05)


def test_orthogonal_rows_with_the_gain_of_relu() -> None:
    """W W^T is 2 I, as sqrt(2) makes up for what ReLU takes."""
    weight = small(32, 48, init="orthogonal").backbone[1][0].weight.flatten(1)
    torch.testing.assert_close(weight @ weight.T, 2 * torch.eye(48), atol=1e-5, rtol=0)


def test_norm_stands_between_convolution_and_relu() -> None:
    """And the convolution has no bias then, which the norm would take away again."""
    for norm, kind in (("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)):
        for block in small(norm=norm).backbone[:2]:
            assert [type(layer) for layer in block] == [nn.Conv2d, kind, nn.ReLU]
            assert block[0].bias is None


@pytest.mark.parametrize(
    ("width", "groups"), [(64, 8), (12, 6), (13, 1), (21, 7), (10, 5), (27, 3), (1, 1)]
)
def test_group_norm_takes_any_width(width: int, groups: int) -> None:
    """As many groups as divide the width, eight at most."""
    assert num_groups(width) == groups
    net = small(width, width, norm="group")
    norms = [layer for layer in net.modules() if isinstance(layer, nn.GroupNorm)]
    assert [layer.num_groups for layer in norms] == [groups, groups]
    assert net(torch.randn(2, 3, 16, 16)).isfinite().all()


def test_dropout_stands_before_every_linear_layer() -> None:
    """It acts in training alone, and with 0 there is none at all."""
    net = small(hidden=(7,), dropout=0.5)
    assert [type(a) for a, b in pairwise(net.head) if isinstance(b, nn.Linear)] == [nn.Dropout] * 2
    images = torch.randn(4, 3, 8, 8)
    assert not torch.equal(net(images), net(images))
    net.eval()
    assert torch.equal(net(images), net(images))
    assert not any(isinstance(layer, nn.Dropout) for layer in small().modules())


def test_dropout_leaves_the_drawn_weights_alone() -> None:
    """The same seed gives the same weights with and without it."""
    for left, right in zip(small(dropout=0.3).parameters(), small().parameters(), strict=True):
        assert torch.equal(left, right)


def test_group_norm_of_narrow_widths_learns_from_one_sample() -> None:
    """Where the image has shrunk to one pixel, a group of one channel has nothing to norm by."""
    net = ConvNet((4, 4, 8), norm="group", image_shape=(1, 8, 8), num_outputs=10)
    assert net.train()(torch.rand(1, 1, 8, 8)).isfinite().all()
