"""Training samples beside what the model will be given, kept before training starts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from expkit.runner.components import Parts
from expkit.runner.stages.training import Training
from expkit.training.seeding import seed_everything

NUM_SHOWN = 16


def preview(parts: Parts) -> dict[str, npt.NDArray[np.generic]] | None:
    """A few training samples as they are stored and as they go in; None where nothing trains."""
    if not any(isinstance(stage, Training) for stage in parts.stages.values()):
        return None
    split = parts.splits["train"].spread_out(NUM_SHOWN)
    augment = None if parts.augmentation.is_identity else parts.augmentation
    seed_everything(parts.seed, "preview")
    images_BCHW, _ = next(split.batches(len(split), augment=augment))
    images_BCHW, _ = parts.augmentation.mix(images_BCHW, split.targets, parts.metadata.num_outputs)
    plain_BCHW, _ = next(split.batches(len(split)))
    return {
        "stored": split.images_NHWC[:].cpu().numpy(),
        "seen": as_bytes(images_BCHW, plain_BCHW).permute(0, 2, 3, 1).cpu().numpy(),
        "changed": differs(images_BCHW, plain_BCHW).cpu().numpy(),
        "targets": split.targets.cpu().numpy(),
        "names": np.array(split.sample_names),
    }


def differs(images_BCHW: Tensor, plain_BCHW: Tensor) -> Tensor:
    """Tell which samples the augmentation changed, and by more than rounding."""
    gap_B = (images_BCHW - plain_BCHW).abs().amax((1, 2, 3))
    return gap_B > 1e-3 * plain_BCHW.std().clamp_min(1e-6)


def as_bytes(images_BCHW: Tensor, plain_BCHW: Tensor) -> Tensor:
    """Each channel's range over these samples becomes 0 to 255: how else to show a normed one?

    A channel that is the same in all `plain_BCHW` has no range of its own, and takes the widest of
    the others: else an augmentation's smallest change of it would be shown as full light.
    """
    low, high = _range(images_BCHW)
    plain_low, plain_high = _range(plain_BCHW)
    is_plain = plain_high <= plain_low
    low = torch.where(is_plain, plain_low, low)
    width = high - low
    widest = torch.where(is_plain, 0.0, width).amax(1, keepdim=True)
    width = torch.where(is_plain, widest, width)
    # where nothing has a range, all is shown black
    scaled = torch.where(width > 0, (images_BCHW - low) / width.clamp_min(1e-12), 0.0)
    return (scaled.clamp(0, 1) * 255).round().to(torch.uint8)


def _range(images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    return images_BCHW.amin((0, 2, 3), keepdim=True), images_BCHW.amax((0, 2, 3), keepdim=True)
