"""Timing a model, and counting what it multiplies."""

from __future__ import annotations

import torch
from torch import nn

from expkit.models.scan_line import ScanLineTransformer
from expkit.training.latency import count_multiply_adds


def test_multiply_adds_of_a_layer_by_hand() -> None:
    """A 3 x 3 convolution from 2 to 5 channels on 4 x 4 places."""
    model = nn.Conv2d(2, 5, 3, padding=1, bias=False)
    with torch.inference_mode():
        assert count_multiply_adds(model, torch.zeros(1, 2, 4, 4)) == 4 * 4 * 9 * 2 * 5


def test_multiply_adds_of_attention_are_counted_too() -> None:
    """torch answers a transformer in one fused operation, which its counter does not see."""
    model = ScanLineTransformer(
        layers=1, width=8, heads=2, feed_forward=16, image_shape=(1, 3, 5), num_outputs=2
    ).eval()
    tokens, width = 4, 8  # three lines and the class token
    projections = tokens * width * (3 * width + width)
    feed_forward = 2 * tokens * width * 16
    attention = 2 * tokens * tokens * width
    embedding = 3 * 5 * width
    with torch.inference_mode():
        counted = count_multiply_adds(model, torch.zeros(1, 1, 3, 5))
    assert counted == projections + feed_forward + attention + embedding + width * 2
