"""The mean of the weights over the last epochs, and statistics of norms that suit it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from expkit.training.device import Device


def new_mean(model: nn.Module) -> AveragedModel:
    """Return a plain mean of the weights that it will be given (Izmailov et al. 2018)."""
    return AveragedModel(model)


@torch.no_grad()
def renew_statistics(
    model: nn.Module,
    kept: Collection[str],
    device: Device,
    batches: Callable[[], Iterable[tuple[Tensor, Tensor]]],
) -> None:
    """Measure the running statistics of batch norms anew, in one pass, but of those `kept`.

    No weights were trained with those of a mean. All else works as in evaluation: nothing is drawn.
    torch's update_bn would renew those of frozen layers, too.
    """
    model.eval()
    norms = [
        layer
        for name, layer in model.named_modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats and name not in kept
    ]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # every batch counts alike
        layer.train()
    for images_BCHW, _ in batches():
        with device.autocast():
            model(device.arrange(images_BCHW))
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    model.eval()
