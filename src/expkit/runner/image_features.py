"""Features of images by a model of timm that was trained elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from expkit.data.store.normalizer import fit_normalizer
from expkit.models.timm_model import TimmModel

if TYPE_CHECKING:
    import numpy.typing as npt


@torch.no_grad()
def compute_features(
    name: str, weights: str | None, chunks: Sequence[npt.NDArray[np.uint8]]
) -> npt.NDArray[np.float32]:
    """The pooled features of each image, N x F, of length 1: clusters then go by direction."""
    side = chunks[0].shape[1]
    source = TimmModel(name, pretrained=weights is None, weights=weights)
    model = source(image_shape=(3, side, side), num_outputs=0).eval()
    features = []
    for chunk in chunks:
        images_BHWC = torch.from_numpy(chunk)
        normalizer = fit_normalizer(images_BHWC, "imagenet")
        outputs = model(normalizer(images_BHWC).permute(0, 3, 1, 2))
        features.append(torch.nn.functional.normalize(outputs.flatten(1)).numpy())
    return np.concatenate(features)
