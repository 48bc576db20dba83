"""Mixing pairs of pictures with their labels: mixup and CutMix, every sample by a share of its own.

kornia's mixup draws its share uniformly instead of from a Beta distribution, and torchvision's
draws one share for a whole batch: hence these few lines.
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
    """Each sample mixed with the one before it, and the shares B x C of the classes.

    Where both alphas are above 0, a coin of each sample chooses between mixup and CutMix.
    """
    keep = _draw_keep(images_BCHW, mixup_alpha, cutmix_alpha)
    mixed = torch.lerp(images_BCHW.roll(1, 0), images_BCHW, keep)
    labels_BC = one_hot(targets_B, num_classes).float()
    # what the pictures really keep: a cut that was drawn may reach beyond the border
    share_B1 = keep.mean(dim=(1, 2, 3)).unsqueeze(1)
    soft_BC = torch.lerp(labels_BC.roll(1, 0), labels_BC, share_B1)
    return mixed.contiguous(memory_format=torch.channels_last), soft_BC


def _draw_keep(images_BCHW: Tensor, mixup_alpha: float, cutmix_alpha: float) -> Tensor:
    """How much of itself each sample keeps, B x 1 x 1 x 1, or each pixel of it, B x 1 x H x W."""
    if cutmix_alpha == 0:
        return draw_mixup_B111(images_BCHW, mixup_alpha)
    if mixup_alpha == 0:
        return draw_cutmix_B1HW(images_BCHW, cutmix_alpha)
    coin_B111 = torch.rand(len(images_BCHW), 1, 1, 1).to(images_BCHW.device) < 0.5
    mixup = draw_mixup_B111(images_BCHW, mixup_alpha)
    return torch.where(coin_B111, mixup, draw_cutmix_B1HW(images_BCHW, cutmix_alpha))


def draw_mixup_B111(images_BCHW: Tensor, alpha: float) -> Tensor:
    """Shares of Beta(alpha, alpha), as in arXiv:1710.09412."""
    return _draw_shares(len(images_BCHW), alpha).view(-1, 1, 1, 1).to(images_BCHW.device)


def draw_cutmix_B1HW(images_BCHW: Tensor, alpha: float) -> Tensor:
    """0 in a box of the picture's proportions and 1 around it, as in arXiv:1905.04899."""
    batch, _, height, width = images_BCHW.shape
    half_side_B = (1 - _draw_shares(batch, alpha)).sqrt() / 2  # as fractions of the picture's
    centre_2B = torch.rand(2, batch)  # row and column; the border cuts off what sticks out
    near_2B, far_2B = (
        (centre_2B + side_B).to(images_BCHW.device).unsqueeze(2)
        for side_B in (-half_side_B, half_side_B)
    )

    def reach(axis: int, length: int) -> Tensor:
        pixels_L = (torch.arange(length, device=images_BCHW.device) + 0.5) / length
        return (pixels_L > near_2B[axis]) & (pixels_L < far_2B[axis])

    is_cut_BHW = reach(0, height).unsqueeze(2) & reach(1, width).unsqueeze(1)
    return (~is_cut_BHW).float().unsqueeze(1)


def _draw_shares(num: int, alpha: float) -> Tensor:
    """Drawn on the CPU, as kornia draws: the same on every device."""
    beta = torch.distributions.Beta(torch.tensor(alpha), torch.tensor(alpha))
    return beta.sample((num,))  # type: ignore[no-untyped-call]
