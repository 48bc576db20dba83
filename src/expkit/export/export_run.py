"""One run's model, written, proved and described, in a folder that is whole or not there."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split, as_bytes
from expkit.errors import UserError
from expkit.export.deployed_model import DeployedModel
from expkit.export.files import trace, write_onnx, write_openvino, write_torch_export
from expkit.export.from_files import compare_files, write_script
from expkit.export.speed import measure_speed
from expkit.export.target_folder import made_aside
from expkit.export.unsupported import reason_of
from expkit.export.verification import (
    Verification,
    choose_split,
    compare_accuracy,
    compare_outputs,
)
from expkit.metrics.predictions import ClassPredictions
from expkit.models.exported import ExportedModel
from expkit.models.runtimes import open_runtime
from expkit.records.exported import (
    METADATA,
    MODEL_FILE,
    RECORDS,
    VERIFICATION,
    VERSION,
    ExportedFolder,
    ExportRecord,
    Format,
    Precision,
    sha256_of,
)
from expkit.records.files import write_json
from expkit.records.run.reader import Run
from expkit.runner.components import Parts
from expkit.runner.evaluation_data import decoding_of
from expkit.runner.restoring import Restored


@dataclass(frozen=True)
class Options:
    """The choices of a user for one export."""

    format: Format
    precision: Precision
    batch: int | None
    required_agreement: float


class OnBytes(nn.Module):
    """The model in torch, for bytes as the run's data holds them: what a file is held against."""

    def __init__(self, model: nn.Module, normalizer: Normalizer) -> None:
        super().__init__()
        self.model, self.normalizer = model, normalizer

    def forward(self, levels_BCHW: Tensor) -> Tensor:
        normalized = self.normalizer(levels_BCHW.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        logits: Tensor = self.model(normalized)
        return logits.float()


def export(
    restored: Restored,
    parts: Parts,
    config: Mapping[str, Any],
    options: Options,
    temperature: float,
    target: Path,
    words: Sequence[str],
) -> Verification:
    """Write, prove and describe a model in a folder, which is whole or not there."""
    from expkit.export.about import describe
    from expkit.export.file_predictions import write_records
    from expkit.reports.model_card import write_card
    from expkit.reports.run.pages import refresh

    about = describe(restored.run, temperature)
    with made_aside(target) as folder:
        verification, exported = export_model(restored, parts, options, about, folder, print)
        # the model's files alone are there yet
        files = {each.name: sha256_of(each, folder) for each in sorted(folder.iterdir())}
        record = ExportRecord(
            export_version=VERSION,
            format=options.format,
            precision=options.precision,
            batch=options.batch,
            files=files,
            outputs=exported.output_names,
            run=restored.run.name,
            about={**about, "config": dict(restored.run.trained.recorded_config)},
        )
        write_json(folder / METADATA, record.to_json())
        write_script(folder, options.format)
        verification = replace(
            verification,
            from_files=compare_files(restored, parts, exported, folder),
            speed=measure_speed(
                OnBytes(restored.model, restored.normalizer),
                exported,
                restored.run.dataset.image_shape,
                ExportedFolder(folder, record),
            ),
        )
        write_json(folder / VERIFICATION, verification.to_json())
        write_records(config, parts, exported, options.format, folder, ["expkit", "export", *words])
        write_card(restored.run, folder)
    refresh(target / RECORDS, plots=False)  # pages have the folder's own name
    return verification


def export_model(
    restored: Restored,
    parts: Parts,
    options: Options,
    about: Mapping[str, Any],
    folder: Path,
    say: Callable[[str], None],
) -> tuple[Verification, ExportedModel]:
    """Write the model's file into a folder, and hold it against the model in torch."""
    metadata = restored.run.dataset
    decoding = decoding_of(metadata)
    graph = DeployedModel(
        _in_precision(restored.model, options.precision),
        decoding,
        restored.normalizer,
        metadata.num_classes,
    ).eval()
    file = folder / MODEL_FILE[options.format]
    say(f"write   {file.name}")
    _write(graph, metadata.image_shape[0], options, json.dumps(about), file)
    runtime = open_runtime(options.format, file, tuple(graph.output_names))
    exported = ExportedModel(runtime, decoding.padded_size, options.batch, graph.output_names)
    split = choose_split(as_bytes(parts.splits))
    say(f"verify  on {len(split):,} samples of {split.name}")
    return verify(restored, exported, split, options), exported


def _in_precision(model: nn.Module, precision: Precision) -> nn.Module:
    return copy.deepcopy(model).half() if precision == "fp16" else model


def _write(graph: DeployedModel, channels: int, options: Options, about: str, file: Path) -> None:
    program = None
    try:
        program = trace(graph, channels, options.batch)
        if options.format == "onnx":
            write_onnx(program, graph, about, file)
        elif options.format == "openvino":
            write_openvino(program, graph, about, file)
        else:
            write_torch_export(program, about, file)
    except Exception as error:  # whatever an exporter raises of an operation that it lacks
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        reason = first if program is None else reason_of(program, error)
        others = [each for each in MODEL_FILE if each != options.format]
        # code of the model, as len(images), that makes a number of what should stay open
        is_fixed = "Constraints violated (batch)" in str(error)
        another = f"another format: --format {' or '.join(others)}"
        fix = "a fixed number of images at once: --batch 1" if is_fixed else another
        raise UserError(
            f"the model cannot be written as {options.format}: {reason:.300}",
            where=f"--format {options.format}",
            fix=f"{fix}\nEXPKIT_TRACEBACK=1 expkit export ...   (shows where)",
        ) from error


def verify(
    restored: Restored, exported: ExportedModel, split: Split, options: Options
) -> Verification:
    """Hold the file against the model in torch, and against the run's recorded predictions."""
    classifies = split.class_names is not None
    reference = OnBytes(restored.model, restored.normalizer)
    results, outputs = compare_outputs(reference, exported, split, classifies=classifies)
    return Verification(
        split=split.name,
        is_held_out=split.name != "train",
        num_samples=len(split),
        required_agreement=options.required_agreement,
        batch_sizes=results,
        accuracy=_accuracy(restored.run, split, outputs.argmax(1)) if classifies else None,
    )


def _accuracy(run: Run, split: Split, predicted: Any) -> Any:
    """The test against what the run recorded; None where it recorded other samples."""
    recorded = run.plain_predictions.get(split.name)
    if not isinstance(recorded, ClassPredictions):
        return None
    places = {name: place for place, name in enumerate(recorded.samples)}
    if not set(split.sample_names) <= places.keys():
        return None
    chosen = np.array([places[name] for name in split.sample_names])
    right = recorded.predictions[chosen] == recorded.targets[chosen]
    return compare_accuracy(split.targets.tolist(), right, predicted)
