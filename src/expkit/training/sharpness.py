"""The weights from which a sharpness-aware step takes its gradients, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from expkit.optim.sam import RADIUS

SMALLEST = 1e-12  # beside a gradient of length zero


@contextmanager
def at_worst_weights(
    optimizer: torch.optim.Optimizer, modules: Iterable[nn.Module]
) -> Iterator[None]:
    """Lend the weights where the loss is highest within the radius, as far as gradients tell.

    Afterwards weights are as before, to the bit, and so are buffers: running statistics of norms
    and the state of a loss are what the pass before has made of the batch.
    """
    groups = optimizer.param_groups
    weights = [p for group in groups for p in group["params"] if p.grad is not None]
    buffers = list(chain.from_iterable(module.buffers() for module in modules))
    gradients = [weight.grad for weight in weights]
    with torch.no_grad():
        kept = [each.detach().clone() for each in chain(weights, buffers)]
        scale = groups[0][RADIUS] / (nn.utils.get_total_norm(gradients) + SMALLEST)
        torch._foreach_mul_(gradients, scale)  # which are made anew
        torch._foreach_add_(weights, gradients)
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_([*weights, *buffers], kept)
