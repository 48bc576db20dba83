"""Bytes to the floats that a model is trained on: fitted to the training images, or known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from expkit.data.store.memory_mapped import MappedImages
from expkit.data.store.samples import Normalization
from expkit.errors import UserError

SMALLEST_STD = 1.0  # of 255: less is rounding, which is not blown up
# of RGB in [0, 1]; timm's IMAGENET_DEFAULT_MEAN and IMAGENET_DEFAULT_STD
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CHUNK_BYTES = 32 << 20  # of images counted at once: no copy of all of them is made
AXES = {"sample": (1, 2, 3), "row": (2, 3)}  # of B x H x W x C, over which each is normalized


@dataclass(frozen=True)
class Normalizer:
    """Images in 0 to 255 to floats: scale * x + shift by channel, or each sample or row alone."""

    scale_C: Tensor
    shift_C: Tensor
    by: Literal["channel", "sample", "row"] = "channel"

    def __call__(self, images_BHWC: Tensor) -> Tensor:
        if self.by != "channel":
            images = images_BHWC.float()
            std, mean = torch.std_mean(images, dim=AXES[self.by], correction=0, keepdim=True)
            return (images - mean) / std.clamp_min(SMALLEST_STD)
        # repeated over a row of pixels: the CPU has no fast loop over 3 channels
        width = images_BHWC.shape[2]
        scale_WC, shift_WC = self.scale_C.repeat(width), self.shift_C.repeat(width)
        rows = torch.addcmul(shift_WC, images_BHWC.flatten(2).float(), scale_WC)
        return rows.view(images_BHWC.shape)

    def to(self, device: torch.device) -> Normalizer:
        return Normalizer(self.scale_C.to(device), self.shift_C.to(device), self.by)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, exactly: what serving a model needs of the data it was trained on."""
        return {"by": self.by, "scale": self.scale_C.tolist(), "shift": self.shift_C.tolist()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Normalizer:
        return cls(torch.tensor(record["scale"]), torch.tensor(record["shift"]), record["by"])


def fit_normalizer(images_NHWC: Tensor | MappedImages, how: Normalization) -> Normalizer:
    """Fit a normalizer to the training images; the other splits use the same one."""
    channels = images_NHWC.shape[-1]
    ones, zeros = torch.ones(channels), torch.zeros(channels)
    match how:
        case "none":
            return Normalizer(ones, zeros)
        case "unit":
            return Normalizer(ones / 255, zeros)
        case "dataset":
            return _centre(*_measure(images_NHWC))
        case "imagenet":
            return _centre(*_recall_imagenet(channels))
        case "sample":
            return Normalizer(ones, zeros, by="sample")
        case "scan_line":
            return Normalizer(ones, zeros, by="row")


def _centre(mean_C: Tensor, std_C: Tensor) -> Normalizer:
    """Mean 0 and std 1; a channel that is the same everywhere is 0 whatever comes.

    Augmentation moves it by less than a byte, and that would be as large as what others say.
    """
    scale_C = torch.where(std_C > 0, std_C.clamp_min(SMALLEST_STD).reciprocal(), 0.0)
    return Normalizer(scale_C.float(), (-mean_C * scale_C).float())


def _measure(images_NHWC: Tensor | MappedImages) -> tuple[Tensor, Tensor]:
    """Mean and std of each channel, by counting levels: exact for any number of images."""
    num_samples, *shape = images_NHWC.shape
    channels = shape[-1]
    counts = torch.zeros(channels, 256, dtype=torch.long)
    step = max(1, CHUNK_BYTES // max(1, shape[0] * shape[1] * channels))
    for start in range(0, num_samples, step):
        chunk = images_NHWC[start : start + step]
        for channel in range(channels):
            counts[channel] += torch.bincount(chunk[..., channel].flatten(), minlength=256)
    weights = counts.double()
    levels = torch.arange(256, dtype=torch.double)
    total = weights.sum(1)
    mean = weights @ levels / total
    return mean, (weights @ levels.square() / total - mean.square()).clamp_min(0).sqrt()


def _recall_imagenet(channels: int) -> tuple[Tensor, Tensor]:
    if channels not in (1, 3):
        raise UserError(
            f"ImageNet's figures are for images of 3 channels, and these have {channels}",
            where="dataset.normalize=imagenet",
            fix="dataset.normalize=dataset",
        )
    mean, std = (torch.tensor(x).double() * 255 for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (mean, std) if channels == 3 else (mean.mean()[None], std.mean()[None])
