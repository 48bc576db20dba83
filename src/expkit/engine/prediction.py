"""What a model answers to a split, brought back from the device for the records."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from expkit.data.split import Split
from expkit.engine.device import Device
from expkit.engine.scoring import target_ranks
from expkit.records.predictions import ClassPredictions, Predictions, ValuePredictions


@torch.no_grad()
def predict(
    model: nn.Module, split: Split, device: Device, batch_size: int, target_names: tuple[str, ...]
) -> Predictions:
    """Every sample's answer, in the split's order, from the model standing still."""
    model.eval()
    answers = []
    for images_BCHW, _ in split.batches(batch_size):
        with device.autocast():
            answers.append(model(device.arrange(images_BCHW)).float())
    outputs = torch.cat(answers)
    if split.class_names is None:
        return ValuePredictions(
            split=split.name,
            samples=split.sample_names,
            targets=split.targets.cpu().numpy(),
            predictions=outputs.cpu().numpy(),
            target_names=target_names,
        )
    return _class_predictions(outputs, split)


def _class_predictions(logits_NC: Tensor, split: Split) -> ClassPredictions:
    assert split.class_names is not None
    return ClassPredictions(
        split=split.name,
        samples=split.sample_names,
        targets=split.targets.cpu().numpy(),
        predictions=logits_NC.argmax(1).cpu().numpy(),
        ranks=target_ranks(logits_NC, split.targets).cpu().numpy(),
        probabilities=logits_NC.softmax(1).cpu().numpy(),
        class_names=split.class_names,
    )
