"""Convolutions whose window is larger than the map that they see, in half precision on the CPU.

oneDNN leaves the gradients of weights that never meet the map as the memory was: 1e33, or NaN.
They act on padding alone, so outputs stay right; whatever takes the norm of all gradients, as
clipping does, is lost. Such a layer is small, and computing it in fp32 costs next to nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def guard_bf16_convolutions(model: nn.Module) -> nn.Module:
    """Let every convolution compute in fp32 where a part of its window never meets the map."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module.padding, str):
            module._conv_forward = _Guarded(module)  # type: ignore[method-assign, assignment]
    return model


class _Guarded:
    """A convolution's own arithmetic, told apart by the size of its input."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self._sides = tuple(
            zip(conv.kernel_size, conv.stride, conv.padding, conv.dilation, strict=True)
        )
        self._options: dict[str, Any] = {
            "stride": conv.stride,
            "padding": conv.padding if conv.padding_mode == "zeros" else 0,
            "dilation": conv.dilation,
            "groups": conv.groups,
        }
        self._mode = conv.padding_mode
        self._pads = conv._reversed_padding_repeated_twice

    def __call__(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self._mode != "zeros":  # other padding is data, which every weight meets
            inputs = nn.functional.pad(inputs, self._pads, mode=self._mode)
            return nn.functional.conv2d(inputs, weight, bias, **self._options)
        if not any(map(_is_wider, self._sides, inputs.shape[-2:])):
            return nn.functional.conv2d(inputs, weight, bias, **self._options)
        with torch.autocast(inputs.device.type, enabled=False):
            return nn.functional.conv2d(inputs.float(), weight, bias, **self._options)


def _is_wider(side: tuple[Any, ...], size: int) -> bool:
    """Tell whether the first or the last weight of a side sees padding at every place."""
    window, stride, padding, dilation = side
    reach = dilation * (window - 1)
    last_place = (size + 2 * padding - reach - 1) // stride
    return bool(last_place * stride < padding or reach - padding >= size)
