"""The programs that run exported models: onnxruntime, OpenVINO, and torch for its own format."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from expkit.errors import UserError

Outputs = Mapping[str, npt.NDArray[Any]]
Runtime = Callable[[npt.NDArray[np.uint8]], Outputs]
"""Takes image bytes, N x H x W x C, and returns the outputs by name."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino",),
    "torch_export": (),
}
RUNS: Mapping[str, tuple[str, ...]] = {**NEEDED, "onnx": ("onnxruntime",)}


class ModelFailedError(UserError):
    """The error of a file that its runtime cannot open, or that fails on some images."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"'{file.name}' is no model that can be run: {reason}",
            where=str(file),
            fix="bring the file back from a copy, or export the model again",
        )
        self.reason = reason


def refuse_missing(file_format: str, packages: Mapping[str, tuple[str, ...]] = NEEDED) -> None:
    """Say what to install for a format, before anything is loaded."""
    missing = [name for name in packages[file_format] if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, which "
            f"--format {file_format} needs",
            where=f"--format {file_format}",
            fix=f"pip install 'expkit[{file_format}]'",
        )


def open_runtime(
    file_format: str, file: Path, output_names: tuple[str, ...], threads: int | None = None
) -> Runtime:
    """Load an exported file by its own runtime, on the processor."""
    refuse_missing(file_format, RUNS)
    opened = {"onnx": _open_onnx, "openvino": _open_openvino, "torch_export": _open_torch}
    with _explained(file, f"{file_format} cannot open it"):
        runtime = opened[file_format](file, output_names, threads)

    def run(images_NHWC: npt.NDArray[np.uint8]) -> Outputs:
        with _explained(file, f"it cannot take images of {list(images_NHWC.shape)}"):
            return runtime(images_NHWC)

    return run


@contextlib.contextmanager
def _explained(file: Path, what: str) -> Iterator[None]:
    """Say in one screen what a runtime raises of a file, which has classes of its own for it."""
    try:
        yield
    except (UserError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        reason = " ".join((str(error).strip() or type(error).__name__).split())
        raise ModelFailedError(file, f"{what}: {reason:.200}") from error


def _open_onnx(file: Path, output_names: tuple[str, ...], threads: int | None) -> Runtime:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: it warns of what it optimizes
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.set_denormal_as_zero", "1")  # as expkit does
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def run(images_NHWC: npt.NDArray[np.uint8]) -> Outputs:
        outputs = session.run(list(output_names), {"images": images_NHWC})
        return dict(zip(output_names, outputs, strict=True))

    return run


def _open_openvino(file: Path, output_names: tuple[str, ...], threads: int | None) -> Runtime:
    import openvino

    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(file, "CPU", settings)

    def run(images_NHWC: npt.NDArray[np.uint8]) -> Outputs:
        results = compiled(images_NHWC)
        return {name: results[name] for name in output_names}

    return run


def _open_torch(file: Path, output_names: tuple[str, ...], threads: int | None) -> Runtime:
    import torch

    if threads:
        torch.set_num_threads(threads)
    remarks = logging.getLogger("torch.export")
    level = remarks.level
    remarks.setLevel(logging.CRITICAL)  # it logs the traceback of what it raises, too
    try:
        module = torch.export.load(file).module()
    finally:
        remarks.setLevel(level)

    def run(images_NHWC: npt.NDArray[np.uint8]) -> Outputs:
        with torch.no_grad():
            outputs = module(torch.from_numpy(images_NHWC))
        return {name: out.numpy() for name, out in zip(output_names, outputs, strict=True)}

    return run
