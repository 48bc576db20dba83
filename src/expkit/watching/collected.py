"""Held-out outputs and targets that a callback gathers batch by batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from expkit.watching.outputs import main_output

Pair = tuple[list[Tensor], list[Tensor]]


class Collected:
    """The last outputs of a module, and those of one pass over held-out samples."""

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def see(self, _: Any, __: Any, output: Any) -> None:
        """A forward hook: keep what the module returned last."""
        self.last = main_output(output)

    def add(self, outputs: Tensor | None, targets: Any) -> None:
        """Keep a batch of held-out samples."""
        if outputs is not None and isinstance(targets, Tensor):
            self._outputs.append(outputs.detach())
            self._targets.append(targets.detach())

    def take(self) -> tuple[Tensor, Tensor] | tuple[()]:
        """Hand over what was kept, once: the arguments of `watch.epoch`."""
        outputs, targets = self._outputs, self._targets
        self._outputs, self._targets = [], []
        return (torch.cat(outputs), torch.cat(targets)) if outputs else ()
