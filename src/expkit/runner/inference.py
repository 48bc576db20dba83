"""Predictions of a restored model for image files that no dataset holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from expkit.data.store.decoding import UnreadableImageError, decode_all
from expkit.data.store.progress import silent
from expkit.records.run.metadata import DatasetMetadata
from expkit.runner.evaluation_data import decoding_of
from expkit.runner.restoring import Restored
from expkit.training.inference import compute_uncertain_outputs


@dataclass(frozen=True)
class FilePrediction:
    """One file's probabilities by class, or predicted numbers, or why there are none."""

    path: Path
    outputs: npt.NDArray[np.float32] | None
    error: str = ""
    uncertainty: float | None = None  # of a model that predicts it
    image: npt.NDArray[np.uint8] | None = None  # H x W x C, as the model was given it


def predict_files(
    restored: Restored, paths: Sequence[Path], batch_size: int
) -> Iterator[FilePrediction]:
    """Yield every file's prediction in order, or why it cannot be read."""
    metadata = restored.run.dataset
    decoding = decoding_of(metadata)
    results = decode_all(paths, decoding, silent)
    pairs = zip(paths, results, strict=True)
    while chunk := list(islice(pairs, batch_size)):
        yield from _predict_chunk(restored, metadata, chunk)


def _predict_chunk(
    restored: Restored,
    metadata: DatasetMetadata,
    chunk: Sequence[tuple[Path, npt.NDArray[np.uint8] | UnreadableImageError]],
) -> Iterator[FilePrediction]:
    images = [result for _, result in chunk if isinstance(result, np.ndarray)]
    outputs = _ask(restored, metadata, images) if images else iter(())
    for path, result in chunk:
        if isinstance(result, UnreadableImageError):
            yield FilePrediction(path, None, str(result))
        else:
            numbers, uncertainty = next(outputs)
            yield FilePrediction(path, numbers, uncertainty=uncertainty, image=result)


def _ask(
    restored: Restored, metadata: DatasetMetadata, images: Sequence[npt.NDArray[np.uint8]]
) -> Iterator[tuple[npt.NDArray[np.float32], float | None]]:
    images_BHWC = torch.from_numpy(np.stack(images)).to(restored.device.torch_device)
    batch = restored.normalizer(images_BHWC).permute(0, 3, 1, 2)
    outputs, uncertainties = compute_uncertain_outputs(restored.model, [batch], restored.device)
    if metadata.class_names is not None:
        outputs = outputs.softmax(1)
    unknown = [None] * len(outputs)
    known = unknown if uncertainties is None else uncertainties.tolist()
    return zip(outputs.cpu().numpy(), known, strict=True)
