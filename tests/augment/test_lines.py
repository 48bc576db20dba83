"""Lost scan lines: whole, chosen for each image by itself, as many as were asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from expkit.augment.lines import LineDropout


def dropped(transform: LineDropout) -> tuple[Tensor, Tensor]:
    """64 images of 2 channels and 100 lines, and which lines of them were changed."""
    torch.manual_seed(0)
    images = torch.rand(64, 2, 100, 16)
    result = transform(images)
    is_lost = (result != images).any(dim=(1, 3))
    # a lost line is its image's mean in every pixel, and no other line has changed at all
    means = images.mean((2, 3), keepdim=True)
    expected = torch.where(is_lost.view(64, 1, 100, 1), means, images)
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
    return result, is_lost


def test_lines_are_lost_at_the_given_fraction() -> None:
    """A quarter of 6400 lines, give or take three standard deviations of 35."""
    _, is_lost = dropped(LineDropout(fraction=0.25, p=1.0))
    assert is_lost.sum().item() == pytest.approx(1600, abs=105)


def test_each_picture_loses_lines_of_its_own() -> None:
    """No two of them the same."""
    _, is_lost = dropped(LineDropout(fraction=0.25, p=1.0))
    assert len(is_lost.unique(dim=0)) == 64


def test_p_chooses_pictures() -> None:
    """Half of them, give or take three standard deviations of 4, lose all; the others nothing."""
    _, is_lost = dropped(LineDropout(fraction=1.0, p=0.5))
    assert (is_lost.all(1) | ~is_lost.any(1)).all()
    assert is_lost.all(1).sum().item() == pytest.approx(32, abs=12)


@pytest.mark.parametrize(("fraction", "p"), [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_is_lost_at_zero(fraction: float, p: float) -> None:
    """Of either of the two."""
    assert not dropped(LineDropout(fraction, p))[1].any()
