"""The parameters of a model beside those that its optimizers move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

LISTED = 20  # names


class ParameterWatch:
    """Tells which parameters stand still although they get gradients, and why they may.

    A parameter that another optimizer moves is none of these: torch counts the changes of each
    tensor, and that counter costs nothing to read.
    """

    def __init__(self, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        self._model = model
        self._optimizers = optimizers
        self._versions = {id(p): p._version for p in model.parameters()}
        self._with_gradient: set[int] = set()

    def see_gradients(self) -> None:
        """Look at what has a gradient, at a step: a loop may clear them all before the next."""
        moved = (p for e in self._optimizers for group in e.param_groups for p in group["params"])
        every = [*self._model.parameters(), *moved]
        self._with_gradient = {id(p) for p in every if p.grad is not None}

    def read(self) -> dict[str, Any]:
        """The parameters since this was last read, and which of them had gradients."""
        named = list(self._model.named_parameters())
        moved = {
            id(p): p
            for optimizer in self._optimizers
            for group in optimizer.param_groups
            for p in group["params"]
        }
        learning = [(name, p) for name, p in named if p.requires_grad]
        still = [
            (name, p)
            for name, p in learning
            if id(p) not in moved and p._version == self._versions.get(id(p), p._version)
        ]
        before = self._versions
        self._versions = {id(p): p._version for _, p in named}
        own = {id(p) for _, p in named}
        strangers = [p for key, p in moved.items() if key not in own]
        missed = [(name, p) for name, p in still if id(p) in before]
        total = sum(p.numel() for _, p in named)
        first_moved = next((i for i, (_, p) in enumerate(learning) if id(p) in moved), None)
        names = {name for name, _ in missed}
        last_missed = max((i for i, (n, _) in enumerate(learning) if n in names), default=-1)
        return {
            "missed_parameters": [name for name, _ in missed][:LISTED],
            "num_missed": len(missed),
            "missed_fraction": sum(p.numel() for _, p in missed) / max(1, total),
            "missed_with_gradient": sum(id(p) in self._with_gradient for _, p in missed),
            "missed_come_first": first_moved is not None and last_missed < first_moved,
            "strangers": len(strangers),
            "strangers_with_gradient": sum(id(p) in self._with_gradient for p in strangers),
        }

    @property
    def modal_layers(self) -> int:
        """The layers that do other things in training than in eval mode, and are to learn or draw.

        Norms whose parameters are frozen are left out: they stand still on purpose.
        """
        return sum(_is_modal(module) for module in self._model.modules())


def _is_modal(module: nn.Module) -> bool:
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if not isinstance(module, _BatchNorm) or module.running_mean is None:
        return False
    parameters = list(module.parameters())
    return not parameters or any(each.requires_grad for each in parameters)
