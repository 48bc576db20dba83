"""The norms that must not go on averaging while nothing else around them learns."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def frozen_norms(model: nn.Module) -> list[nn.Module]:
    """The layers with running statistics that are to stay in eval mode when the model trains.

    Those whose own parameters are all frozen; one without parameters goes with what it stands in.
    """
    return [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, _NormBase) and is_frozen(model, name)
    ]


def is_frozen(model: nn.Module, name: str) -> bool:
    """Tell whether a module's parameters are frozen, or those around it where it has none."""
    parameters = list(model.get_submodule(name).parameters())
    if not parameters and name:
        return is_frozen(model, name.rpartition(".")[0])
    return not any(parameter.requires_grad for parameter in parameters)
