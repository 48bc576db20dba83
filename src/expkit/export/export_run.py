"""One run's model, written, proved and described, in a folder that is whole or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split, as_bytes
from expkit.errors import UserError
from expkit.export.deployed_model import DeployedModel
from expkit.export.files import convert_onnx, trace, write_onnx, write_openvino, write_torch_export
from expkit.export.first_difference import (
    NUM_SAMPLES,
    FirstDifference,
    compare_resize,
    find_first_difference,
)
from expkit.export.from_files import compare_files, write_script
from expkit.export.half_weights import halve_weights, with_half_weights
from expkit.export.int8 import KeepFloat, beside_fp32, write_int8
from expkit.export.speed import measure_speed
from expkit.export.target_folder import made_aside, spare_folder
from expkit.export.unsupported import reason_of
from expkit.export.verification import (
    NUMBERS_AGREE,
    BesideFp32,
    Floats,
    Quantization,
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
from expkit.records.places import cut_places, without_places
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
    keep_float: KeepFloat = "auto"


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
        if verification.quantization is not None:
            about["quantization"] = asdict(replace(verification.quantization, beside_fp32=None))
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
            about={**about, "config": without_places(restored.run.trained.recorded_config)},
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
        refresh(folder / RECORDS, plots=False)
        write_card(restored.run, folder)
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
    file = folder / MODEL_FILE[options.format]
    say(f"write   {file.name}")
    with spare_folder(folder) as spare:
        made = _Made(restored, options, json.dumps(about), spare)
        splits = as_bytes(parts.splits)
        quantization = made.write(file, splits, say)
        exported = made.open(file)
        split = choose_split(splits)
        say(f"verify  on {len(split):,} samples of {split.name}")
        verification, outputs = verify(restored, exported, split, options)
        if quantization is not None:
            beside = made.hold_beside_fp32(exported, file, split, outputs)
            quantization = replace(quantization, beside_fp32=beside)
            verification = replace(verification, quantization=quantization)
        if not verification.passed:
            try:
                first = made.find_first_difference(exported, file, split)
                verification = replace(verification, first_difference=first)
            except Exception as error:  # the proof stands without it, whatever a runtime raises
                reason = cut_places(f"{type(error).__name__}: {error}".partition("\n")[0])
                verification = replace(verification, not_compared=f"{reason:.200}")
    return verification, exported


class _Made:
    """A model's graph, and the files that are written of it."""

    def __init__(self, restored: Restored, options: Options, about: str, spare: Path) -> None:
        self.restored, self.options, self.about, self.spare = restored, options, about, spare
        is_halved = options.precision == "fp16" and options.format == "torch_export"
        self.graph = _make_graph(
            restored, with_half_weights(restored.model) if is_halved else restored.model
        )
        self.fp32_onnx = spare / MODEL_FILE["onnx"]
        self.int8_onnx = spare / "int8.onnx"

    def write(
        self, file: Path, splits: Mapping[str, Split], say: Callable[[str], None]
    ) -> Quantization | None:
        """Write the model's file."""
        if self.options.precision != "int8":
            self.program = _write(self.graph, self.restored, self.options, self.about, file)
            return None
        as_onnx = replace(self.options, format="onnx")
        self.program = _write(self.graph, self.restored, as_onnx, self.about, self.fp32_onnx)
        quantization = write_int8(
            self.fp32_onnx,
            self._open_onnx,
            self.graph.layer_prefix,
            splits,
            self.options.keep_float,
            self.options.required_agreement,
            self.int8_onnx,
            lambda text: say(f"int8    {text}"),
        )
        self._convert(self.int8_onnx, file)
        return quantization

    def open(self, file: Path) -> ExportedModel:
        """Open a file of the format that was asked for by its runtime."""
        return self._open(self.options.format, file)

    def hold_beside_fp32(
        self, exported: ExportedModel, file: Path, split: Split, outputs: Floats
    ) -> BesideFp32:
        """Measure what 8 bits cost and gain, in the format that was asked for."""
        fp32 = self.spare / "fp32" / file.name
        fp32.parent.mkdir()
        self._convert(self.fp32_onnx, fp32)
        sizes = tuple(sum(p.stat().st_size for p in f.parent.glob("model.*")) for f in (file, fp32))
        return beside_fp32(exported, self.open(fp32), split, outputs, (sizes[0], sizes[1]))

    def find_first_difference(
        self, exported: ExportedModel, file: Path, split: Split
    ) -> FirstDifference | None:
        """Name the layer at which the file begins to differ; None where that cannot be told."""
        images_BCHW = next(iter(split.batches(self.options.batch or NUM_SAMPLES)))[0]
        graph, precision = self.graph, self.options.precision
        differs = compare_resize(graph, exported, images_BCHW)
        if differs is not None:
            return differs
        program, file = self.program, self.int8_onnx if precision == "int8" else file
        if file.suffix == ".xml":
            return None  # its tensors have names of their own
        if precision == "fp16" and file.suffix == ".pt2":  # its own program has fp16 weights
            graph, as_fp32 = _make_graph(self.restored, self.restored.model), self.spare / file.name
            program = _write(graph, self.restored, self.options, self.about, as_fp32)
        return find_first_difference(
            program, graph, precision, file, exported.with_border(images_BCHW)
        )

    def _convert(self, onnx_file: Path, to: Path) -> None:
        if self.options.format == "onnx":
            shutil.copyfile(onnx_file, to)
        else:
            convert_onnx(onnx_file, self.graph, self.about, to)

    def _open_onnx(self, file: Path) -> ExportedModel:
        return self._open("onnx", file)

    def _open(self, file_format: str, file: Path) -> ExportedModel:
        names = tuple(self.graph.output_names)
        padded_size = decoding_of(self.restored.run.dataset).padded_size
        runtime = open_runtime(file_format, file, names)
        return ExportedModel(runtime, padded_size, self.options.batch, names)


def _make_graph(restored: Restored, model: nn.Module) -> DeployedModel:
    metadata = restored.run.dataset
    graph = DeployedModel(model, decoding_of(metadata), restored.normalizer, metadata.num_classes)
    return graph.eval()


def _write(
    graph: DeployedModel, restored: Restored, options: Options, about: str, file: Path
) -> torch.export.ExportedProgram:
    """Write a file, and return the program of whose nodes its tensors have the names."""
    program = None
    try:
        program = trace(graph, restored.run.dataset.image_shape[0], options.batch)
        if options.format == "onnx":
            lowered = write_onnx(program, graph, about, file)
            if options.precision == "fp16":
                halve_weights(file)
            return lowered
        if options.format == "openvino":
            write_openvino(program, graph, about, file, in_fp16=options.precision == "fp16")
        else:
            write_torch_export(program, about, file)
        return program
    except OSError:  # of the disk, and not of the model
        raise
    except Exception as error:  # whatever an exporter raises of an operation that it lacks
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        reason = first if program is None else reason_of(program, error)
        others = [each for each in MODEL_FILE if each != options.format]
        # code of the model, as len(images), that makes a number of what should stay open
        is_fixed = "Constraints violated (batch)" in str(error)
        another = (
            "in its forward no step that depends on the values of images, as `if x.sum() > 0`, but "
            "torch.where: each format is written of one recording"
            if program is None and "data-dependent" in str(error)
            else f"another format: --format {' or '.join(others)}"
        )
        fix = "a fixed number of images at once: --batch 1" if is_fixed else another
        raise UserError(
            f"the model cannot be written as {options.format}: {reason:.300}",
            where=f"--format {options.format}",
            fix=f"{fix}\nEXPKIT_TRACEBACK=1 expkit export ...   (shows where)",
        ) from error


def verify(
    restored: Restored, exported: ExportedModel, split: Split, options: Options
) -> tuple[Verification, Floats]:
    """Hold the file against the model in torch, and against the run's recorded predictions.

    Its outputs are returned, too.
    """
    classifies = split.class_names is not None
    reference = OnBytes(restored.model, restored.normalizer)
    results, outputs = compare_outputs(
        reference,
        exported,
        split,
        classifies=classifies,
        numbers_agree=NUMBERS_AGREE[options.precision],
    )
    verification = Verification(
        split=split.name,
        is_held_out=split.name != "train",
        num_samples=len(split),
        required_agreement=options.required_agreement,
        batch_sizes=results,
        accuracy=_accuracy(restored.run, split, outputs.argmax(1)) if classifies else None,
    )
    return verification, outputs


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
