"""A model in a file of another runtime, asked as any other model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from expkit.models.runtimes import Outputs, Runtime

UNCERTAINTY = "uncertainty"  # the name of that output


class ExportedModel(nn.Module):
    """The file's logits or numbers for images as the run's data holds them: bytes, in its size.

    The file resizes and crops by itself. An image that was already prepared is given a border,
    which the file's own crop takes off again: so it predicts exactly that image.
    """

    def __init__(
        self,
        runtime: Runtime,
        padded_size: Sequence[int],
        batch: int | None,
        output_names: Sequence[str],
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.padded_size = padded_size
        self.batch = batch
        self.output_names = output_names
        self.predicts_uncertainty = UNCERTAINTY in output_names

    def forward(self, images_BCHW: Tensor) -> Tensor:
        outputs = self.run(self.with_border(images_BCHW))
        return _as_tensor(outputs[self.output_names[0]])

    def forward_with_uncertainty(
        self, images_BCHW: Tensor, temperature: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return the logits, and the uncertainty that the file computes of each sample."""
        assert temperature == 1, "the file has its own in it"
        outputs = self.run(self.with_border(images_BCHW))
        return _as_tensor(outputs[self.output_names[0]]), _as_tensor(outputs[UNCERTAINTY])

    def with_border(self, images_BCHW: Tensor) -> npt.NDArray[np.uint8]:
        """Return prepared images as the file takes them, with the border that it crops."""
        (height, width), (tall, wide) = images_BCHW.shape[2:], self.padded_size
        top, left = round((tall - height) / 2), round((wide - width) / 2)
        border = (left, wide - width - left, top, tall - height - top)
        levels_BHWC = pad(images_BCHW, border).round().to(torch.uint8).permute(0, 2, 3, 1)
        array: npt.NDArray[np.uint8] = levels_BHWC.contiguous().cpu().numpy()
        return array

    def run(self, images_BHWC: npt.NDArray[np.uint8]) -> Outputs:
        """Return all outputs for images of one size, as they come from files."""
        if self.batch is None:
            return self.runtime(images_BHWC)
        chunks: list[Mapping[str, Any]] = []
        for start in range(0, len(images_BHWC), self.batch):
            chunk = images_BHWC[start : start + self.batch]
            rest = self.batch - len(chunk)
            filled = np.concatenate([chunk, np.repeat(chunk[-1:], rest, axis=0)])
            outputs = self.runtime(np.ascontiguousarray(filled))
            chunks.append({name: each[: len(chunk)] for name, each in outputs.items()})
        return {name: np.concatenate([each[name] for each in chunks]) for name in chunks[0]}


def _as_tensor(output: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(output))  # a copy: a runtime may write into its own again
