"""The graph that is exported: image bytes in, named predictions out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from expkit.data.store.decoding import Decoding
from expkit.data.store.normalizer import Normalizer
from expkit.export.pillow_resize import PillowResize
from expkit.models.uncertainty import fixed_noise, predicts_uncertainty, with_uncertainty
from expkit.training.predictor import Predictor

INPUT = "images"


class DeployedModel(nn.Module):
    """Resize, normalization, the model at its temperature, and softmax, in one graph.

    The images are bytes as a decoded file holds them, B x H x W x C, of any size.
    """

    scale_C: Tensor
    shift_C: Tensor

    def __init__(
        self, model: nn.Module, decoding: Decoding, normalizer: Normalizer, num_classes: int | None
    ) -> None:
        super().__init__()
        self.resize = PillowResize(decoding)
        self.model = model
        self.by = normalizer.by
        self.register_buffer("scale_C", normalizer.scale_C)
        self.register_buffer("shift_C", normalizer.shift_C)
        self.classifies = num_classes is not None
        self.has_uncertainty = self.classifies and predicts_uncertainty(model)
        if num_classes is not None:
            fixed_noise(num_classes)  # drawn now: no graph holds a generator

    @property
    def output_names(self) -> Sequence[str]:
        """The names of the outputs, in order."""
        if not self.classifies:
            return ("outputs",)
        uncertainty = ("uncertainty",) if self.has_uncertainty else ()
        return ("logits", "probabilities", "prediction", *uncertainty)

    @property
    def layer_prefix(self) -> str:
        """The start of the path of every layer of the run's own model in this graph."""
        return "model.model." if isinstance(self.model, Predictor) else "model."

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        resized_BHWC = self.resize(images).float()
        normalizer = Normalizer(self.scale_C, self.shift_C, self.by)
        normalized_BCHW = normalizer(resized_BHWC).permute(0, 3, 1, 2)
        dtype = next((each.dtype for each in self.model.parameters()), torch.float32)
        images_BCHW = normalized_BCHW.to(dtype)
        if self.classifies and predicts_uncertainty(self.model):
            logits_BC, uncertainties_B = with_uncertainty(self.model, images_BCHW)
            uncertainty = [uncertainties_B]
        else:
            logits_BC, uncertainty = self.model(images_BCHW), []
        logits_BC = logits_BC.float()
        if not self.classifies:
            return (logits_BC,)
        return (logits_BC, logits_BC.softmax(1), logits_BC.argmax(1), *uncertainty)
