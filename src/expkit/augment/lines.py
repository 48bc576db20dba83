"""Augmentations of images that are scanned line by line, each row a line."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LineDropout(nn.Module):
    """Loses whole lines, as where a tip left the surface: they become the image's mean."""

    def __init__(self, fraction: float = 0.1, p: float = 0.5) -> None:
        """`p` chooses images, and each line of these is lost with probability `fraction`."""
        super().__init__()
        self.fraction = fraction
        self.p = p

    def forward(self, images_BCHW: Tensor) -> Tensor:
        batch, _, height, _ = images_BCHW.shape
        # drawn on the CPU, as kornia draws: the same on every device
        is_chosen_B1 = torch.rand(batch, 1) < self.p
        is_lost_BH = is_chosen_B1 & (torch.rand(batch, height) < self.fraction)
        is_lost_B1H1 = is_lost_BH.to(images_BCHW.device).view(batch, 1, height, 1)
        return torch.where(is_lost_B1H1, images_BCHW.mean((2, 3), keepdim=True), images_BCHW)
