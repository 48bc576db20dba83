"""The samples that are shown before training."""

from __future__ import annotations

import torch

from expkit.runner.preview import as_bytes, differs


def test_a_changed_sample_is_told_from_rounding() -> None:
    """One pixel is enough; the last digit of a float is not."""
    plain = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    seen = plain.clone()
    seen[1, 0, 2, 2] += 0.1
    seen[2] += 1e-7
    assert differs(seen, plain).tolist() == [False, True, False]


def test_an_empty_channel_is_not_blown_up_to_full_light() -> None:
    """Light that adds a hundredth to a green that is 0 everywhere filled the preview with green."""
    plain = torch.zeros(2, 3, 1, 2)
    plain[:, 0, 0, 1] = plain[:, 2, 0, 1] = 1.0
    seen = plain.clone()
    seen[0, 1] = 0.01
    shown = as_bytes(seen, plain)
    assert shown[:, 1].max() == 3  # a hundredth of 255, as wide as red and blue
    assert shown[0, :, 0, 1].tolist() == [255, 3, 255]


def test_an_augmentation_is_shown_in_its_own_range() -> None:
    """Darker images stay darker than the others; images without any range are black."""
    plain = torch.tensor([0.0, 1.0, 0.0, 1.0]).reshape(2, 1, 1, 2)
    seen = plain * torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    assert as_bytes(seen, plain).flatten().tolist() == [0, 128, 0, 255]
    assert not as_bytes(torch.ones(2, 3, 1, 1), torch.ones(2, 3, 1, 1)).any()
