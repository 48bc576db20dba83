"""Writing the graph in each format."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from expkit.export.deployed_model import INPUT, DeployedModel
from expkit.records.exported import METADATA

PROBE_BYTES = 1 << 20  # that a disk must take to be called not full
LARGEST_SIDE = 32_768  # pixels of an image: an upper bound makes the graph's sizes plain numbers
EXAMPLE_SIZE = (3, 37, 53)  # odd numbers, and no two alike: whatever depends on them is seen


def trace(model: DeployedModel, channels: int, batch: int | None) -> torch.export.ExportedProgram:
    """Record the graph: of any number of images, or of a fixed one, and of any size."""
    num, height, width = EXAMPLE_SIZE
    images = torch.zeros(batch or num, height, width, channels, dtype=torch.uint8)
    sides = {
        axis: torch.export.Dim(name, min=1, max=LARGEST_SIDE)
        for axis, name in ((1, "height"), (2, "width"))
    }
    free = {} if batch else {0: torch.export.Dim("batch", min=1)}
    with torch.no_grad(), without_chatter(), _without_fused_attention():
        return torch.export.export(
            model, (images,), dynamic_shapes={INPUT: {**free, **sides}}, strict=False
        )


def write_onnx(
    program: torch.export.ExportedProgram, model: DeployedModel, about: str, to: Path
) -> torch.export.ExportedProgram:
    """Write an ONNX file, which holds its weights and what is known of it itself.

    What is returned is the program in the operations that it was written in: the file's tensors
    have the names of its nodes.
    """
    with without_chatter():
        written = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[INPUT],
            output_names=list(model.output_names),
            verbose=False,
        )
        assert written is not None, "the dynamo exporter returns its program"
        for node in written.model.graph.all_nodes():  # this machine's paths, and lines of code
            node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
        written.model.metadata_props["expkit"] = about
        written.save(to, external_data=False)
    lowered = written.exported_program
    assert lowered is not None, "it was made of one"
    return lowered


def write_openvino(
    program: torch.export.ExportedProgram,
    model: DeployedModel,
    about: str,
    to: Path,
    *,
    in_fp16: bool = False,
) -> None:
    """Write OpenVINO's pair of files, with weights in full precision or in fp16."""
    import openvino

    with without_chatter():
        converted = openvino.convert_model(program)
    _save_openvino(converted, model, about, to, in_fp16=in_fp16)


def convert_onnx(file: Path, model: DeployedModel, about: str, to: Path) -> None:
    """Write OpenVINO's pair of files from an ONNX file."""
    import openvino

    with without_chatter():
        converted = openvino.convert_model(file)
    _save_openvino(converted, model, about, to)


def _save_openvino(
    converted: Any, model: DeployedModel, about: str, to: Path, *, in_fp16: bool = False
) -> None:
    import openvino

    for port, name in zip(converted.inputs, [INPUT], strict=True):
        port.get_tensor().set_names({name})
    for port, name in zip(converted.outputs, model.output_names, strict=True):
        port.get_tensor().set_names({name})
    converted.set_rt_info(about, "expkit")
    try:
        openvino.save_model(converted, to, compress_to_fp16=in_fp16)
    except RuntimeError:  # by which it says, too, that the disk is full, and no more
        refuse_full_disk(to.parent)
        raise


def refuse_full_disk(folder: Path) -> None:
    """Raise the system's own OSError where a folder takes no more bytes."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(PROBE_BYTES))
        probe.flush()


def write_torch_export(program: torch.export.ExportedProgram, about: str, to: Path) -> None:
    """Write torch's own file."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # this machine's paths, and lines of code
    whole = io.BytesIO()  # on a full disk torch's own writer ends the process
    with without_chatter():
        torch.export.save(program, whole, extra_files={METADATA: about})
    to.write_bytes(whole.getbuffer())


@contextlib.contextmanager
def _without_fused_attention() -> Iterator[None]:
    """Leave out torch's one operation for a whole encoder layer, which no format has."""
    is_enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(is_enabled)


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Keep what exporters print to themselves: it is for those who write exporters."""
    quiet, level = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(quiet),
            contextlib.redirect_stderr(quiet),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
