"""Several nets that are asked as one: the mean of their probabilities, or of their outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from expkit.models.arguments import Averaged, ImageShape


class Ensemble(nn.Module):
    """Asks each member for the same images, and averages what they say.

    With `probabilities` the output is the logarithm of the mean of the members' softmax: the
    softmax of that is the mean itself, so that whatever takes logits takes it.
    """

    # arguments.py states which values a config may give
    def __init__(
        self,
        members: Sequence[Callable[..., nn.Module]],
        combine: Averaged = "probabilities",
        *,
        image_shape: ImageShape,
        num_outputs: int,
    ) -> None:
        super().__init__()
        self.combine = combine
        self.members = nn.ModuleList(
            [make(image_shape=image_shape, num_outputs=num_outputs) for make in members]
        )

    def forward(self, images_BCHW: Tensor) -> Tensor:
        # in float32 also under autocast: a mean of bf16 numbers has two digits
        outputs_MBC = torch.stack([member(images_BCHW).float() for member in self.members])
        if self.combine == "logits":
            return outputs_MBC.mean(0)
        return outputs_MBC.log_softmax(2).logsumexp(0) - math.log(len(self.members))
