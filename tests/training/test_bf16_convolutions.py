"""Convolutions on maps smaller than their window."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from expkit.training.bf16_convolutions import guard_bf16_convolutions


def gradient_of(conv: nn.Conv2d, size: int, *, half: bool) -> torch.Tensor:
    torch.manual_seed(0)
    images = torch.randn(32, conv.in_channels, size, size)
    images = images.contiguous(memory_format=torch.channels_last)
    conv.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        outputs = conv(images)
    outputs.float().square().mean().backward()
    assert conv.weight.grad is not None
    return conv.weight.grad.clone()


@pytest.mark.parametrize(
    ("window", "stride", "size"), [(3, 2, 1), (5, 2, 1), (7, 1, 2), (7, 2, 1), (3, 1, 4), (3, 2, 8)]
)
def test_no_weight_gets_a_gradient_out_of_nowhere(window: int, stride: int, size: int) -> None:
    """In bf16 all weights have the gradient that they have in fp32, those on padding alone zero."""
    torch.manual_seed(1)
    conv = nn.Conv2d(128, 256, window, stride, padding=window // 2)
    conv = conv.to(memory_format=torch.channels_last)
    exact = gradient_of(conv, size, half=False)
    rough = gradient_of(guard_bf16_convolutions(conv), size, half=True)  # type: ignore[arg-type]
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_answers_stay_the_same(mode: str) -> None:
    """In fp32 the guard changes nothing, whatever the padding, stride, dilation and groups."""
    for stride, dilation, groups, size in ((1, 1, 1, 9), (2, 1, 2, 5), (1, 2, 4, 7), (2, 1, 1, 2)):
        conv = nn.Conv2d(4, 8, 3, stride, 1, dilation, groups, padding_mode=mode)
        images = torch.randn(2, 4, size, size)
        expected = conv(images)
        assert torch.equal(guard_bf16_convolutions(conv)(images), expected)


def test_a_copy_is_guarded_with_its_own_weights() -> None:
    """The running mean of weights is a deep copy."""
    conv = guard_bf16_convolutions(nn.Conv2d(1, 1, 3, padding=1))
    twin = copy.deepcopy(conv)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert twin(torch.ones(1, 1, 1, 1)).item() == 0.0
