"""The last part of the proof: the same image files by `expkit predict` and by predict.py."""

from __future__ import annotations

import importlib.resources
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from expkit.config.instantiate import build_part
from expkit.data.store.decoding import Decoding, UnreadableImageError
from expkit.data.store.labelled_files import FileSource
from expkit.data.store.split import Split
from expkit.export.standalone import predict
from expkit.export.verification import NUMBERS_AGREE, FromFiles, choose_split, hold_together
from expkit.models.exported import ExportedModel
from expkit.records.exported import SCRIPT, Format
from expkit.records.places import cut_places
from expkit.runner.components import Parts
from expkit.runner.evaluation_data import decoding_of
from expkit.runner.inference import predict_files
from expkit.runner.restoring import Restored

MAX_FILES = 64  # spread over the split


def write_script(folder: Path, file_format: Format) -> None:
    """Put predict.py beside the model; opening a file of torch.export takes torch anyway."""
    if file_format != "torch_export":
        source = importlib.resources.files("expkit.export.standalone") / SCRIPT
        (folder / SCRIPT).write_bytes(source.read_bytes())


def compare_files(
    restored: Restored, parts: Parts, exported: ExportedModel, folder: Path
) -> FromFiles:
    """Predict up to 64 files of held-out samples both ways, and hold the outputs together."""
    config, run = parts.inputs.config, restored.run
    source = build_part(config.dataset, "dataset", config.trust)
    if not isinstance(source, FileSource):
        return FromFiles(0, reason=f"the samples of {run.dataset.name} are not image files")
    few = choose_split(parts.splits).spread_out(MAX_FILES)
    paths = find_files(source, few, decoding_of(run.dataset))
    if not paths:
        return FromFiles(0, reason="no file decodes to its sample any more")
    metadata = predict.read_metadata(folder)
    is_script_of = metadata["format"] != "torch_export"
    model = predict.open_model(folder, metadata) if is_script_of else exported.runtime
    name = "outputs" if run.dataset.class_names is None else "probabilities"
    missing = np.full(run.dataset.num_outputs, np.nan)
    expected = [
        missing if each.outputs is None else each.outputs
        for each in predict_files(restored, paths, MAX_FILES)
    ]
    done = list(predict.predict_files(model, metadata, paths))
    given = [missing if each.outputs is None else each.outputs[name] for each in done]
    found = hold_together(
        np.array(expected, np.float64),
        np.array(given, np.float64),
        classifies=run.dataset.class_names is not None,
        numbers_agree=NUMBERS_AGREE[metadata["precision"]],
    )
    reason = cut_places(next((each.error for each in done if each.error), ""))
    return FromFiles(len(paths), found.num_equal, found.largest_difference, reason)


def find_files(source: FileSource, split: Split, decoding: Decoding) -> list[Path]:
    """The files of a split's samples: of those of its name, the one that decodes to its bytes."""
    named: dict[str, list[Path]] = defaultdict(list)
    for file in source.list_files():
        named[file.name].append(file.path)
    found = []
    for place, name in enumerate(split.sample_names):
        image = split.images_NHWC[torch.tensor([place])].cpu().numpy()[0]
        found += [path for path in named[name] if _is_image(path, decoding, image)][:1]
    return found


def _is_image(path: Path, decoding: Decoding, image: npt.NDArray[np.uint8]) -> bool:
    try:
        return np.array_equal(decoding.decode(path), image)
    except UnreadableImageError:
        return False
