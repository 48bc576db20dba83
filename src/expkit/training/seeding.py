"""One seed, many draws: each named use gets its own, so that none depends on what ran before."""

from __future__ import annotations

import hashlib

import torch


def seed_for(seed: int, *names: str | int) -> int:
    """The seed for one use. It needs no state, so a resumed run draws what the whole one did."""
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_everything(seed: int, *names: str | int) -> None:
    """Set torch's global generators, which initialization and dropout draw from."""
    torch.manual_seed(seed_for(seed, *names))
