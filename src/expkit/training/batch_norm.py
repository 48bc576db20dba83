"""Statistics of batch norm, made anew for weights that no training step has met."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from expkit.training.device import Device


def names_of_batch_norms(model: nn.Module) -> list[str]:
    """The layers that keep running statistics of what goes through them."""
    return [
        name
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]


@torch.no_grad()
def refit_batch_norms(
    model: nn.Module, names: Collection[str], batches: Iterable[Tensor], device: Device
) -> None:
    """Put the mean of all batches' statistics into these layers, in one pass of the images.

    All else stands still, as it does when the model is evaluated: dropout too. torch's update_bn
    would renew those of frozen layers, too.
    """
    layers = [model.get_submodule(name) for name in names]
    model.eval()
    momenta = []
    for layer in layers:
        assert isinstance(layer, _BatchNorm)
        momenta.append(layer.momentum)
        layer.reset_running_stats()
        layer.momentum = None  # each batch counts alike
        layer.train()
    for images_BCHW in batches:
        with device.autocast():
            model(device.arrange(images_BCHW))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum  # type: ignore[assignment]
    model.eval()
