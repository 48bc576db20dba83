"""The outputs of a model for a split, brought back from the device for the records."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from expkit.data.store.split import Split
from expkit.metrics.predictions import ClassPredictions, Predictions, ValuePredictions
from expkit.models.uncertainty import predicts_uncertainty, with_uncertainty
from expkit.training.accumulator import target_ranks
from expkit.training.device import Device


@torch.no_grad()
def compute_outputs(model: nn.Module, batches: Iterable[Tensor], device: Device) -> Tensor:
    """The outputs of the model standing still, as floats on the device."""
    return compute_uncertain_outputs(model, batches, device)[0]


@torch.no_grad()
def compute_uncertain_outputs(
    model: nn.Module, batches: Iterable[Tensor], device: Device
) -> tuple[Tensor, Tensor | None]:
    """The outputs, and each sample's uncertainty where the model predicts it."""
    model.eval()
    outputs, uncertainties = [], []
    for images_BCHW in batches:
        with device.autocast():
            arranged = device.arrange(images_BCHW)
            if predicts_uncertainty(model):
                logits_BC, uncertainties_B = with_uncertainty(model, arranged)
                uncertainties.append(uncertainties_B)
            else:
                logits_BC = model(arranged)
            outputs.append(logits_BC.float())
    return torch.cat(outputs), torch.cat(uncertainties) if uncertainties else None


def predict(
    model: nn.Module, split: Split, device: Device, batch_size: int, target_names: tuple[str, ...]
) -> Predictions:
    """Return every sample's output, in the split's order."""
    batches = (images for images, _ in split.batches(batch_size))
    outputs, uncertainties = compute_uncertain_outputs(model, batches, device)
    if split.class_names is None:
        return ValuePredictions(
            split=split.name,
            samples=split.sample_names,
            targets=split.targets.cpu().numpy(),
            predictions=outputs.cpu().numpy(),
            target_names=target_names,
        )
    return _class_predictions(outputs, uncertainties, split)


def _class_predictions(
    logits_NC: Tensor, uncertainties_N: Tensor | None, split: Split
) -> ClassPredictions:
    assert split.class_names is not None
    return ClassPredictions(
        split=split.name,
        samples=split.sample_names,
        targets=split.targets.cpu().numpy(),
        predictions=logits_NC.argmax(1).cpu().numpy(),
        ranks=target_ranks(logits_NC, split.targets).cpu().numpy(),
        probabilities=logits_NC.softmax(1).cpu().numpy(),
        class_names=split.class_names,
        uncertainties=None if uncertainties_N is None else uncertainties_N.cpu().numpy(),
    )
