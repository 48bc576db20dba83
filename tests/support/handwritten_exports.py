"""Exported folders with a model that is written by hand, and so predicts what a hand computes."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from expkit.records.exported import METADATA, SCRIPT, sha256_of

CLASSES = ("dark", "bright")


def write_folder(folder: Path, *, batch: int | None = None, **changes: Any) -> Mapping[str, Any]:
    """Write predict.py and a model for which `bright` is as probable as the image is bright.

    The mean of all bytes over 255 is the probability; returns the metadata.
    """
    folder.mkdir(exist_ok=True)
    onnx.save(brightness_model(batch), folder / "model.onnx")
    script = importlib.resources.files("expkit.export.standalone") / SCRIPT
    (folder / SCRIPT).write_bytes(script.read_bytes())
    metadata = {
        "export_version": 1,
        "format": "onnx",
        "precision": "fp32",
        "batch": batch,
        "files": {"model.onnx": sha256_of(folder / "model.onnx", folder)},
        "outputs": ["logits", "probabilities", "prediction"],
        "run": "20260101_120000_brightness",
        "class_names": list(CLASSES),
        "target_names": None,
        "input": {"name": "images", "shape": ["batch", "height", "width", 3]},
        "temperature": 1,
        "thresholds": [],
        **changes,
    }
    (folder / METADATA).write_text(json.dumps(metadata))
    return metadata


def write_openvino_folder(folder: Path) -> None:
    """Write the same for OpenVINO: its converter takes the model that is written by hand."""
    import openvino

    write_folder(folder)
    converted = openvino.convert_model(folder / "model.onnx")
    openvino.save_model(converted, folder / "model.xml", compress_to_fp16=False)
    (folder / "model.onnx").unlink()
    files = {name: sha256_of(folder / name, folder) for name in ("model.xml", "model.bin")}
    metadata = json.loads((folder / METADATA).read_text())
    metadata |= {"format": "openvino", "files": files}
    (folder / METADATA).write_text(json.dumps(metadata))


def brightness_model(batch: int | None) -> onnx.ModelProto:
    shape = [batch or "batch", "height", "width", 3]
    axes = [
        helper.make_tensor("all", TensorProto.INT64, [3], [1, 2, 3]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
        helper.make_tensor("sure", TensorProto.FLOAT, [], [1.0]),
    ]
    nodes = [
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels", "all"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["fraction"]),
        helper.make_node("Unsqueeze", ["fraction", "one"], ["bright"]),
        helper.make_node("Sub", ["sure", "bright"], ["dark"]),
        helper.make_node("Concat", ["dark", "bright"], ["probabilities"], axis=1),
        helper.make_node("Log", ["probabilities"], ["logits"]),
        helper.make_node("ArgMax", ["probabilities"], ["prediction"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], 2]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [shape[0], 2]),
            helper.make_tensor_value_info("prediction", TensorProto.INT64, [shape[0]]),
        ],
        initializer=axes,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
