"""Nets as users write them, each with the mistakes (`flaw`) that its kind invites."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  as in the code that these stand for

Shape = tuple[int, int, int]
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "gelu": F.gelu}


class Mlp(nn.Module):
    """Flattened images through equal layers, whose activation is a function."""

    def __init__(
        self, *, image_shape: Shape, num_outputs: int, width: int = 64, depth: int = 2,
        activation: str = "relu", init: str = "default", dropout: float = 0.0, flaw: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = [int(np.prod(image_shape)), *[width] * depth]
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        hides = flaw == "plain_list"  # not registered: neither moved, nor saved, nor trained
        self.layers = layers if hides else nn.ModuleList(layers)
        outputs = {"thousand": 1000, "one_less": num_outputs - 1}.get(flaw, num_outputs)
        self.head = nn.Linear(width, outputs)
        self.activation, self.dropout, self.flaw = ACTIVATIONS[activation], dropout, flaw
        for layer in [*layers, self.head]:
            initialize(layer, init)

    def forward(self, x: Tensor) -> Tensor:
        if self.flaw == "centred_bytes":
            x = (x - 127.5) / 127.5  # of images that are 0 to 1 already
        x = x.flatten(1)
        for layer in self.layers:
            x = layer(x)
            if self.flaw != "no_activation":
                x = self.activation(x)
            x = F.dropout(x, self.dropout, self.training)
            if self.flaw == "numpy":
                x = torch.from_numpy(x.detach().numpy().copy())
        logits: Tensor = self.head(x)
        if self.flaw == "temperature":
            return logits / 0.005  # multiplied where it should be divided
        return logits.softmax(-1) if self.flaw == "softmax" else logits


def initialize(layer: nn.Linear | nn.Conv2d, how: str) -> None:
    """As the paper said, or as somebody remembered it."""
    match how:
        case "kaiming":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        case "xavier":
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        case "normal_1":  # nn.init.normal_ without its second argument
            nn.init.normal_(layer.weight)
        case "normal_1e-3":
            nn.init.normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)
        case "negative_bias":
            nn.init.constant_(layer.bias, -8.0)
        case "uninitialized":  # whatever lay there
            nn.init.constant_(layer.bias, float("nan"))
        case _:
            assert how == "default"


class Dilated(nn.Module):
    """Convolutions that see further and further, with functional rectifiers."""

    def __init__(
        self, *, image_shape: Shape, num_outputs: int, width: int = 24, init: str = "kaiming",
        flaw: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = [image_shape[0], width, width, width]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=2**i, dilation=2**i, stride=2 if i < 2 else 1)
            for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.classifier = nn.Linear(width, num_outputs)
        self.flaw = flaw
        for conv in self.convs:
            initialize(conv, init)

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.flaw != "no_grad"):
            for conv in self.convs:
                x = conv(x) if self.flaw == "relu_forgotten" else F.relu(conv(x))
        pooled = x.sum((2, 3)) * 100 if self.flaw == "summed" else x.mean((2, 3))
        if self.flaw == "log":
            pooled = pooled.log()
        if self.flaw == "over_batch":  # axis 0 is the batch, and axis 1 was meant
            pooled = F.normalize(pooled, dim=0) * len(pooled) ** 0.5
        logits: Tensor = self.classifier(pooled)
        return F.softmax(logits, dim=1) if self.flaw == "softmax" else logits


class Separable(nn.Module):
    """Depthwise and pointwise convolutions with batch norm, as in a mobile net."""

    def __init__(
        self, *, image_shape: Shape, num_outputs: int, width: int = 32, flaw: str = ""
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        last = image_shape[0]
        for channels in (width // 2, width, width):
            layers += [
                nn.Conv2d(last, last, 3, stride=2, padding=1, groups=last, bias=False),
                nn.Conv2d(last, channels, 1, bias=False),
                nn.BatchNorm2d(channels, track_running_stats=flaw != "untracked"),
                nn.SiLU(),
            ]
            last = channels
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(last, num_outputs)
        self.flaw = flaw
        if flaw == "frozen_by_name":  # "body" was the pretrained part of another net
            self.body.requires_grad_(False)

    def train(self, mode: bool = True) -> Separable:
        fixed = {"never_trains": False, "always_trains": True}.get(self.flaw, mode)
        return super().train(fixed)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x).mean((2, 3)))
        return logits.sigmoid() if self.flaw == "sigmoid" else logits


class SmallUnet(nn.Module):
    """Down, up again beside what was there, and the clearest of all pixels' answers."""

    def __init__(
        self, *, image_shape: Shape, num_outputs: int, width: int = 12, dropout: float = 0.0,
        flaw: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self.enter = nn.Conv2d(image_shape[0], width, 3, padding=1, stride=2)
        self.down = nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)
        self.deep = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.Conv2d(3 * width, 2 * width, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(4, c * width) for c in (1, 2, 2, 2))
        self.drop = nn.Dropout(dropout)
        self.leave = nn.Conv2d(2 * width, num_outputs, 1)
        self.flaw = flaw

    def forward(self, x: Tensor) -> Tensor:
        if self.flaw == "scaled":  # to the range of images of 0 to 255
            x = x / 255.0
        first = F.relu(self.norms[0](self.enter(x)))
        deep = F.relu(self.norms[1](self.down(first)))
        deep = F.relu(self.norms[2](self.deep(deep)))
        wide = F.interpolate(deep, size=first.shape[2:])
        joined = F.relu(self.norms[3](self.up(torch.cat([first, wide], 1))))
        if self.flaw == "over_batch":
            joined = joined - joined.mean((0, 2, 3), keepdim=True)
        maps: Tensor = self.leave(self.drop(joined))
        logits = maps.amax((2, 3))
        if self.flaw == "random":  # noise that was to be for training alone, seeded by the clock
            logits = logits + torch.from_numpy(np.random.default_rng().normal(0, 0.3, logits.shape))
        return logits.float()


class RowsGru(nn.Module):
    """Reads a image row by row."""

    def __init__(
        self, *, image_shape: Shape, num_outputs: int, width: int = 48, flaw: str = ""
    ) -> None:
        super().__init__()
        channels, _, columns = image_shape
        self.rnn = nn.GRU(channels * columns, width, batch_first=flaw != "time_first")
        self.head = nn.Linear(width, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.rnn(x.permute(0, 2, 1, 3).flatten(2))
        logits: Tensor = self.head(states[:, -1])
        return logits


class RowsAttention(nn.Module):
    """Rows that attend to each other, written out by hand."""

    def __init__(
        self, *, image_shape: Shape, num_outputs: int, width: int = 48, depth: int = 2,
        normed: bool = True, flaw: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        channels, rows, columns = image_shape
        self.embed = nn.Linear(channels * columns, width)
        self.places = nn.Parameter(torch.randn(rows, width) * 0.02)
        self.mixes = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(depth))
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(depth)
        )
        norm = nn.LayerNorm if normed else nn.Identity
        self.norms = nn.ModuleList(norm(width) for _ in range(2 * depth + 1))
        self.head = nn.Linear(width, num_outputs)
        self.flaw = flaw

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.permute(0, 2, 1, 3).flatten(2)) + self.places
        for i, (mix, feed) in enumerate(zip(self.mixes, self.feeds, strict=True)):
            query, key, value = mix(self.norms[2 * i](x)).chunk(3, -1)
            scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
            dim = 0 if self.flaw == "softmax_over_batch" else -1
            x = x + scores.softmax(dim) @ value
            x = x + feed(self.norms[2 * i + 1](x))
            if self.flaw == "detached":
                x = x.detach()
        logits: Tensor = self.head(self.norms[-1](x).mean(1))
        return logits


class GaborNet(nn.Module):
    """Fixed filters that are known to see stripes, and one linear layer that learns."""

    def __init__(self, *, image_shape: Shape, num_outputs: int, size: int = 11, **_: Any) -> None:
        super().__init__()
        rows, columns = np.mgrid[:size, :size] - size // 2
        window = np.exp(-(rows**2 + columns**2) / (size / 2) ** 2)
        filters = []
        for angle in np.pi * np.arange(6) / 6:
            for pixels in (3.0, 4.5, 7.0, 10.0):
                along = (rows * np.sin(angle) + columns * np.cos(angle)) * 2 * np.pi / pixels
                filters += [window * np.cos(along), window * np.sin(along)]
        bank = np.stack(filters)[:, None] / np.abs(filters[0]).sum()
        self.filters = nn.Conv2d(1, len(bank), size, bias=False)
        self.filters.weight = nn.Parameter(torch.tensor(bank).float(), requires_grad=False)
        self.norm = nn.BatchNorm1d(len(bank) // 2)
        self.head = nn.Linear(len(bank) // 2, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        power = self.filters(x.mean(1, keepdim=True)).square().mean((2, 3))
        logits: Tensor = self.head(self.norm(power.unflatten(1, (-1, 2)).sum(2)))
        return logits
