"""From a trained model to the one whose softmax is predicted: calibrated, averaged over views."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.models.uncertainty import predicts_uncertainty, with_uncertainty
from expkit.training.arguments import View
from expkit.training.views import transforms_of


class Predictor(nn.Module):
    """A model's logits over its temperature; with views, the log of their mean probabilities.

    Each view has its own softmax at the temperature, and the probabilities are averaged. Where the
    model predicts the noise of its logits, that is divided with them; averaged views have none.
    """

    def __init__(self, model: nn.Module, temperature: float, views: Sequence[View]) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.transforms = transforms_of(views)
        self.predicts_uncertainty = predicts_uncertainty(model) and not self.transforms

    def forward(self, images_BCHW: Tensor) -> Tensor:
        logits_BC = self._logits(images_BCHW)
        if not self.transforms:
            return logits_BC
        views = [logits_BC, *(self._logits(change(images_BCHW)) for change in self.transforms)]
        return torch.stack(views).log_softmax(-1).logsumexp(0) - math.log(len(views))

    def forward_with_uncertainty(
        self, images_BCHW: Tensor, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return the logits over both temperatures, and the uncertainty of each sample."""
        assert predicts_uncertainty(self.model), "asked before"
        return with_uncertainty(self.model, images_BCHW, temperature * self.temperature)

    def _logits(self, images_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.model(images_BCHW).float() / self.temperature
        return logits


def as_predictor(
    model: nn.Module, temperature: float = 1.0, views: Sequence[View] = ()
) -> nn.Module:
    """Return the model whose softmax is the predicted probabilities; itself where nothing is done.

    Whoever predicts with a run's weights, or averages several runs, goes this way.
    """
    return model if temperature == 1 and not views else Predictor(model, temperature, views)
