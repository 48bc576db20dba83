"""Looking at a net must change nothing: the training that follows is to be the same to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def preserve_state(*nets: nn.Module) -> Iterator[None]:
    """Put modes, buffers and torch's generators back, whatever a forward pass does to them.

    Nothing is copied but buffers: nets need not be of a kind that can be deep-copied.
    """
    modules = [module for net in nets for module in net.modules()]
    modes = [(module, module.training) for module in modules]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    devices = {t.device for net in nets for t in (*net.parameters(), *net.buffers())}
    indices = [device.index or 0 for device in devices if device.type == "cuda"]
    on_mps = torch.mps.get_rng_state() if torch.device("mps") in devices else None
    try:
        with torch.random.fork_rng(indices):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for module, name, buffer, value in buffers:
                module._buffers[name] = buffer.copy_(value)
        if on_mps is not None:
            torch.mps.set_rng_state(on_mps)
