"""Seeds: one for each use, the same on every machine, and independent of what ran before."""

from __future__ import annotations

import torch
from torch import nn

from expkit.training.seeding import seed_everything, seed_for


def test_seeds_are_the_same_everywhere() -> None:
    """Python salts hash() in each process; these seeds are not made of it."""
    # sha256("0/order/3") begins with these eight bytes; a half of them fits a signed number
    assert seed_for(0, "order", 3) == 0x4B9958534E8D938F >> 1


def test_seeds_of_different_uses_differ() -> None:
    """Seeds, names, epochs and their order each make another; all fit torch."""
    uses = [
        (seed, name, n) for seed in range(10) for name in ("epoch", "order") for n in range(500)
    ]
    seeds = {seed_for(*use) for use in uses}
    assert len(seeds) == len(uses)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert seed_for(1, 11) != seed_for(11, 1) != seed_for(111)


def test_initialization_and_dropout_are_repeatable() -> None:
    """The same use draws the same, whatever was drawn before."""

    def draw() -> tuple[torch.Tensor, torch.Tensor]:
        seed_everything(5, "model")
        return nn.Linear(3, 3).weight.detach(), nn.functional.dropout(torch.ones(50))

    first = draw()
    torch.rand(7)
    for left, right in zip(first, draw(), strict=True):
        assert torch.equal(left, right)
    seed_everything(5, "other model")
    assert not torch.equal(nn.Linear(3, 3).weight, first[0])
