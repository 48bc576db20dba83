"""Strided convolutions, pooled, and a head of linear layers: the nets of the puzzle logs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Lt, MinLen
from torch import Tensor, nn

Initialization = Literal["default", "kaiming", "xavier", "orthogonal"]
Norm = Literal["none", "batch", "group"]

GROUPS = 8  # of group norm, or as many as divide the width


class ConvNet(nn.Module):
    """Halves the image with each 3x3 convolution, averages what is left, and maps it linearly.

    `default` leaves torch's own initialization, whose variance shrinks from layer to layer:
    with unnormalized input a deep head then sees nearly the same features for all samples.
    """

    def __init__(
        self,
        widths: Annotated[Sequence[Annotated[int, Ge(1)]], MinLen(1)] = (16, 32, 64),
        hidden: Sequence[Annotated[int, Ge(1)]] = (),
        init: Initialization = "default",
        norm: Norm = "none",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        *,
        image_shape: tuple[int, int, int],
        num_outputs: int,
    ) -> None:
        super().__init__()
        channels = [image_shape[0], *widths]
        self.backbone = nn.Sequential(
            *(conv_block(*pair, norm) for pair in pairwise(channels)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = linear_head([channels[-1], *hidden, num_outputs], dropout)
        initialize(self, init)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.backbone(images_BCHW))
        return outputs


def conv_block(channels_in: int, channels_out: int, norm: Norm) -> nn.Sequential:
    # a bias before a norm would be subtracted again
    conv = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=norm == "none")
    layers: dict[Norm, list[nn.Module]] = {
        "none": [],
        "batch": [nn.BatchNorm2d(channels_out)],
        "group": [nn.GroupNorm(num_groups(channels_out), channels_out)],
    }
    return nn.Sequential(conv, *layers[norm], nn.ReLU(inplace=True))


def num_groups(channels: int) -> int:
    """The most groups up to GROUPS, of two channels at least: one on a 1x1 map has no variance."""
    most = max(1, min(GROUPS, channels // 2))
    return max(number for number in range(1, most + 1) if channels % number == 0)


def linear_head(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        layers += [nn.Dropout(dropout)] if dropout else []
        layers += [nn.Linear(size_in, size_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def initialize(model: nn.Module, how: Initialization) -> None:
    """Redraw all convolutions and linear layers, biases zero; `default` touches nothing."""
    if how == "default":
        return
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            draw_weight(layer.weight, how)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def draw_weight(weight: Tensor, how: Initialization) -> None:
    with torch.no_grad():
        if how == "kaiming":
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        elif how == "xavier":
            nn.init.xavier_normal_(weight)
        else:
            nn.init.orthogonal_(weight, gain=nn.init.calculate_gain("relu"))
