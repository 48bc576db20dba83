"""Mixing pairs of images with their labels: mixup and CutMix, every sample by a weight of its own.

kornia's mixup draws its weight uniformly instead of from a Beta distribution, and torchvision's
draws one weight for a whole batch: hence these few lines.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def mix_pairs(
    images_BCHW: Tensor,
    targets_B: Tensor,
    num_classes: int,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
) -> tuple[Tensor, Tensor]:
    """Each sample mixed with the one before it, and the fractions B x C of the classes.

    Where both alphas are above 0, a coin of each sample chooses between mixup and CutMix.
    """
    keep = _draw_keep(images_BCHW, mixup_alpha, cutmix_alpha)
    mixed = torch.lerp(images_BCHW.roll(1, 0), images_BCHW, keep)
    labels_BC = one_hot(targets_B, num_classes).float()
    # what the images really keep: a cut that was drawn may reach beyond the border
    fraction_B1 = keep.mean(dim=(1, 2, 3)).unsqueeze(1)
    soft_BC = torch.lerp(labels_BC.roll(1, 0), labels_BC, fraction_B1)
    return mixed.contiguous(memory_format=torch.channels_last), soft_BC


def _draw_keep(images_BCHW: Tensor, mixup_alpha: float, cutmix_alpha: float) -> Tensor:
    """Draw the weight of each sample, B x 1 x 1 x 1, or of each of its pixels, B x 1 x H x W."""
    if cutmix_alpha == 0:
        return _draw_mixup(images_BCHW, mixup_alpha)
    if mixup_alpha == 0:
        return _draw_cutmix(images_BCHW, cutmix_alpha)
    coin_B111 = torch.rand(len(images_BCHW), 1, 1, 1).to(images_BCHW.device) < 0.5
    mixup_B111 = _draw_mixup(images_BCHW, mixup_alpha)
    return torch.where(coin_B111, mixup_B111, _draw_cutmix(images_BCHW, cutmix_alpha))


def _draw_mixup(images_BCHW: Tensor, alpha: float) -> Tensor:
    """Draw weights B x 1 x 1 x 1, as in arXiv:1710.09412."""
    return _draw_fractions(len(images_BCHW), alpha).view(-1, 1, 1, 1).to(images_BCHW.device)


def _draw_cutmix(images_BCHW: Tensor, alpha: float) -> Tensor:
    """B x 1 x H x W: 0 in a box of the image's proportions, 1 around it; arXiv:1905.04899."""
    batch, _, height, width = images_BCHW.shape
    half_side_B = (1 - _draw_fractions(batch, alpha)).sqrt() / 2
    # all as fractions of the image's sides; the border cuts off what sticks out
    box_3B1 = torch.stack([half_side_B, *torch.rand(2, batch)]).unsqueeze(2)
    half_side_B1, row_B1, column_B1 = box_3B1.to(images_BCHW.device)

    def is_near(centre_B1: Tensor, length: int) -> Tensor:
        pixels_L = (torch.arange(length, device=images_BCHW.device) + 0.5) / length
        is_near_BL: Tensor = (pixels_L - centre_B1).abs() < half_side_B1
        return is_near_BL

    is_cut_BHW = is_near(row_B1, height).unsqueeze(2) & is_near(column_B1, width).unsqueeze(1)
    return (~is_cut_BHW).float().unsqueeze(1)


def _draw_fractions(num: int, alpha: float) -> Tensor:
    """From Beta(alpha, alpha); on the CPU, as kornia draws: the same for every device."""
    concentration = torch.tensor(float(alpha))
    return torch.distributions.Beta(concentration, concentration).sample((num,))
