"""Several nets that are asked as one: the mean of their probabilities, or of their outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from expkit.models.arguments import Averaged, ImageShape
from expkit.models.uncertainty import predicts_uncertainty, uncertainty_of


class Ensemble(nn.Module):
    """Asks each member for the same images, and averages what they say.

    With `probabilities` the output is the logarithm of the mean of the members' softmax: the
    softmax of that is the mean itself, so that whatever takes logits takes it.

    Where all members predict their uncertainty, that of the ensemble is its mean: it stays what
    lies in the samples, to which the members' disagreement adds nothing.
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

    @property
    def predicts_uncertainty(self) -> bool:
        return all(predicts_uncertainty(member) for member in self.members)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self._average([member(images_BCHW) for member in self.members])

    def forward_with_uncertainty(
        self, images_BCHW: Tensor, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return the output over a temperature, and the mean of the members' uncertainties."""
        outputs, uncertainties = [], []
        for member in self.members:
            assert predicts_uncertainty(member), "asked before"
            logits_BC, log_variance_BC = member.forward_with_log_variance(images_BCHW)
            outputs.append(logits_BC)
            uncertainties.append(uncertainty_of(logits_BC, log_variance_BC, temperature))
        return self._average(outputs) / temperature, torch.stack(uncertainties).mean(0)

    def _average(self, outputs: Sequence[Tensor]) -> Tensor:
        # in float32 also under autocast: a mean of bf16 numbers has two digits
        outputs_MBC = torch.stack([each.float() for each in outputs])
        if self.combine == "logits":
            return outputs_MBC.mean(0)
        return outputs_MBC.log_softmax(2).logsumexp(0) - math.log(len(self.members))
