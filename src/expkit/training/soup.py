"""A soup of models: one model with the mean of their weights (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from expkit.training.batch_norm import names_of_batch_norms, refit_batch_norms
from expkit.training.device import Device

Weights = Mapping[str, Tensor]


def average_weights(weights: Sequence[Weights]) -> dict[str, Tensor]:
    """Average each tensor, at least in float32; of whole numbers, as counts are, take the first."""
    averaged = {}
    for name, first in weights[0].items():
        if not (first.is_floating_point() or first.is_complex()):
            averaged[name] = first
            continue
        dtype = torch.promote_types(first.dtype, torch.float32)
        total = first.to(dtype, copy=True)
        for other in weights[1:]:
            total += other[name].to(dtype)
        averaged[name] = (total / len(weights)).to(first.dtype)
    return averaged


def fill_with_soup(
    model: nn.Module,
    weights: Sequence[Weights],
    batches: Callable[[], Iterable[Tensor]],
    device: Device,
) -> None:
    """Give a model the averaged weights, with batch norm's statistics made anew from the images.

    Layers whose statistics are the same in all of them were frozen, and keep these.
    """
    model.load_state_dict(average_weights(weights))
    stale = [name for name in names_of_batch_norms(model) if _differ(weights, name)]
    if stale:
        refit_batch_norms(model, stale, batches(), device)


def _differ(weights: Sequence[Weights], layer: str) -> bool:
    """Tell whether not all have the same statistics in a layer."""
    first = weights[0]
    return any(
        not torch.equal(each[name], first[name])
        for name in (f"{layer}.running_mean", f"{layer}.running_var")
        for each in weights[1:]
    )


def choose_greedily(figures: Sequence[float], score: Callable[[Sequence[int]], float]) -> list[int]:
    """Choose members of a soup, best first: each stays if the soup's score does not get worse.

    Higher is better; members with equal figures are asked in the order in which they are given.
    """
    order = sorted(range(len(figures)), key=lambda place: -figures[place])
    kept = order[:1]
    best = score(kept)
    for place in order[1:]:
        found = score([*kept, place])
        if found >= best:
            kept, best = [*kept, place], found
    return kept
