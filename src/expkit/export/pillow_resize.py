"""Pillow's resize and crop as arithmetic that any graph can hold, equal to it to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from expkit.data.store.decoding import Decoding

PRECISION = 2.0**22  # Pillow's weights are whole numbers of 1 / 2^22


class PillowResize(nn.Module):
    """Images of any size, B x H x W x C in bytes, resized and cropped as `Decoding` does it.

    Each pass, along rows and along columns, is a product with a matrix of the filter's weights,
    rounded to bytes as Pillow rounds. Pillow 13 swaps the passes where that is faster: there a
    pixel may differ by a level or two. `nearest` may take the other of two equally near pixels.
    """

    def __init__(self, decoding: Decoding) -> None:
        super().__init__()
        assert decoding.size is not None, "a model has an image size"
        self.height, self.width = decoding.size
        self.tall, self.wide = decoding.padded_size
        self.keeps_shape = decoding.resize == "crop"
        self.interpolation = decoding.interpolation

    def forward(self, images_BHWC: Tensor) -> Tensor:
        rows = torch.arange(images_BHWC.shape[1], dtype=torch.float64)
        columns = torch.arange(images_BHWC.shape[2], dtype=torch.float64)
        # the sizes as numbers in the graph: one file serves images of every size
        height, width = torch.ones_like(rows).sum(), torch.ones_like(columns).sum()
        tall, wide = torch.full_like(height, self.tall), torch.full_like(width, self.wide)
        if self.keeps_shape:
            tall = torch.maximum(tall, torch.floor(self.wide * height / width))
            wide = torch.maximum(wide, torch.floor(self.tall * width / height))
        weights_hH = self._weights(rows, height, tall, self.height, axis=1)
        # no transposed matrix: until 1.26 onnxruntime fuses one into a product that doubles lack
        weights_Ww = self._weights(columns, width, wide, self.width, axis=0)
        images_BCHW = images_BHWC.permute(0, 3, 1, 2).double()
        resized_BCHw = _to_levels(images_BCHW @ weights_Ww)
        return _to_levels(weights_hH @ resized_BCHw).permute(0, 2, 3, 1)

    def _weights(
        self, positions: Tensor, size: Tensor, resized: Tensor, cropped: int, axis: int
    ) -> Tensor:
        """Return the weights of each pixel of the input, along this axis, in each of the crop."""
        start = torch.round((resized - cropped) / 2)
        scale = size / resized
        centers = (torch.arange(cropped, dtype=torch.float64) + start + 0.5) * scale
        centers, positions = centers.unsqueeze(axis), positions.unsqueeze(1 - axis)
        if self.interpolation == "nearest":
            return (positions == torch.floor(centers)).double()
        support, kernel = KERNELS[self.interpolation]
        stretch = scale.clamp_min(1.0)  # a smaller image is averaged over more pixels
        first = torch.floor(centers - support * stretch + 0.5).clamp_min(0)
        end = torch.minimum(torch.floor(centers + support * stretch + 0.5), size)
        weights = kernel((positions - centers + 0.5) / stretch)
        weights = torch.where((positions >= first) & (positions < end), weights, 0.0)
        weights = weights / weights.sum(axis, keepdim=True) * PRECISION
        rounded = torch.where(weights < 0, torch.ceil(weights - 0.5), torch.floor(weights + 0.5))
        return rounded / PRECISION


def _to_levels(values: Tensor) -> Tensor:
    return torch.floor(values + 0.5).clamp(0, 255)


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp_min(0)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, inner, torch.where(x < 2, outer, 0.0))


def _sinc(x: Tensor) -> Tensor:
    safe = torch.where(x == 0, 1.0, math.pi * x)
    return torch.where(x == 0, 1.0, torch.sin(safe) / safe)


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), 0.0)


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).double()


def _hamming(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1, _sinc(x) * (0.54 + 0.46 * torch.cos(math.pi * x)), 0.0)


# how far each filter reaches, in pixels of the smaller image, and its weights
KERNELS: Mapping[str, tuple[float, Callable[[Tensor], Tensor]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _cubic),
    "lanczos": (3.0, _lanczos),
    "box": (0.5, _box),
    "hamming": (1.0, _hamming),
}
