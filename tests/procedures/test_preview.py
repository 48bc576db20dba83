"""The samples that are shown before training."""

from __future__ import annotations

import torch

from expkit.procedures.preview import differs


def test_a_changed_sample_is_told_from_rounding() -> None:
    """One pixel is enough; the last digit of a float is not."""
    plain = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    seen = plain.clone()
    seen[1, 0, 2, 2] += 0.1
    seen[2] += 1e-7
    assert differs(seen, plain).tolist() == [False, True, False]
