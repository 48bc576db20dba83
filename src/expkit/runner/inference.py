"""Predictions of a restored model for image files that no dataset holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from expkit.data.store.decoding import Decoding, UnreadableImageError, decode_all
from expkit.data.store.progress import silent
from expkit.models.exported import UNCERTAINTY, ExportedModel
from expkit.models.runtimes import ModelFailedError, Outputs
from expkit.records.run.metadata import DatasetMetadata
from expkit.runner.evaluation_data import decoding_of
from expkit.runner.restoring import Restored
from expkit.training.inference import compute_uncertain_outputs

MAX_DECODED = 32  # images in the size of their files that wait in memory
MAX_PIXELS = 2**22  # of images that an exported file resizes at once, each in 24 bytes and more


@dataclass(frozen=True)
class FilePrediction:
    """One file's probabilities by class, or predicted numbers, or why there are none."""

    path: Path
    outputs: npt.NDArray[np.float32] | None
    error: str = ""
    uncertainty: float | None = None  # of a model that predicts it
    image: npt.NDArray[np.uint8] | None = None  # H x W x C, as the model was given it


def predict_files(
    restored: Restored,
    paths: Sequence[Path],
    batch_size: int,
    sources: Sequence[Path | Image.Image] | None = None,
) -> Iterator[FilePrediction]:
    """Yield every file's prediction in order, or why it cannot be read.

    `sources` are read in place of the paths, which then do no more than name them.
    """
    metadata = restored.run.dataset
    sources = paths if sources is None else sources
    if isinstance(restored.model, ExportedModel):
        yield from _predict_by_file(restored.model, metadata, paths, batch_size, sources)
        return
    decoding = decoding_of(metadata)
    results = decode_all(sources, decoding, silent)
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


def _predict_by_file(
    model: ExportedModel,
    metadata: DatasetMetadata,
    paths: Sequence[Path],
    batch_size: int,
    sources: Sequence[Path | Image.Image],
) -> Iterator[FilePrediction]:
    """Ask an exported file, which resizes by itself, for images as they are in their files."""
    as_it_is = Decoding(channels=1 if metadata.image_shape[0] == 1 else 3)
    size = min(batch_size, MAX_DECODED)
    for start in range(0, len(paths), size):
        chunk = paths[start : start + size]
        results = list(decode_all(sources[start : start + size], as_it_is, silent))
        images = {i: each for i, each in enumerate(results) if isinstance(each, np.ndarray)}
        found: dict[int, FilePrediction] = {}
        for places in _of_one_size(images):
            try:
                outputs = model.run(np.stack([images[place] for place in places]))
            except ModelFailedError as error:  # as of an image that takes more memory than there is
                model.run(_plain_image(model, as_it_is.channels))  # raises where the file is broken
                for place in places:
                    found[place] = FilePrediction(
                        chunk[place], None, f"the model fails: {error.reason}"
                    )
                continue
            for row, place in enumerate(places):
                found[place] = _from_file(chunk[place], outputs, row)
        for place, (path, result) in enumerate(zip(chunk, results, strict=True)):
            yield found.get(place) or FilePrediction(path, None, str(result))


def _plain_image(model: ExportedModel, channels: int) -> npt.NDArray[np.uint8]:
    """An image that every exported file takes."""
    return np.zeros((1, *model.padded_size, channels), np.uint8)


def _of_one_size(images: Mapping[int, npt.NDArray[np.uint8]]) -> Iterator[list[int]]:
    """The places of images that go through a graph together: of one size, and not too many."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for place, image in images.items():
        by_size.setdefault(image.shape, []).append(place)
    for (height, width, _), places in by_size.items():
        most = max(1, MAX_PIXELS // (height * width))
        for start in range(0, len(places), most):
            yield places[start : start + most]


def _from_file(path: Path, outputs: Outputs, row: int) -> FilePrediction:
    """One file's prediction: its probabilities, or its numbers."""
    main = outputs["probabilities"] if "probabilities" in outputs else outputs["outputs"]
    uncertainty = float(outputs[UNCERTAINTY][row]) if UNCERTAINTY in outputs else None
    return FilePrediction(path, main[row], uncertainty=uncertainty)
