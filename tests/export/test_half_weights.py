"""Weights in 16 bits: half the size, the same predictions, and nothing overflows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from small_graphs import SmallGraph, make_graph, make_net, write_small

from expkit.export.files import trace, write_openvino, write_torch_export
from expkit.export.half_weights import halve_weights, with_half_weights
from expkit.models.runtimes import open_runtime

pytestmark = pytest.mark.filterwarnings("ignore")  # of exporters, on their own libraries
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallGraph:
    return write_small(tmp_path_factory.mktemp("small"))


def expected(small: SmallGraph) -> np.ndarray:  # type: ignore[type-arg]
    with torch.no_grad():
        found: np.ndarray = small.graph(torch.from_numpy(IMAGES))[0].numpy()  # type: ignore[type-arg]
    return found


def test_an_onnx_file_is_nearly_half_as_large_and_computes_in_fp32(
    small: SmallGraph, tmp_path: Path
) -> None:
    """A weight is off by at most 2^-11 of itself, and so, about, are the logits."""
    file = shutil.copy(small.file, tmp_path / "model.onnx")
    halve_weights(file)
    types = {e.name: e.data_type for e in onnx.load(file).graph.initializer}
    assert types["model.head.weight.fp16"] == onnx.TensorProto.FLOAT16
    assert types["model.head.bias"] == onnx.TensorProto.FLOAT  # three numbers
    logits = open_runtime("onnx", file, ("logits",), threads=1)(IMAGES)["logits"]
    largest = np.abs(expected(small)).max()
    assert 0 < np.abs(logits - expected(small)).max() < 2**-10 * largest


def test_a_weight_too_large_for_fp16_stays_in_fp32(small: SmallGraph, tmp_path: Path) -> None:
    file = shutil.copy(small.file, tmp_path / "model.onnx")
    model = onnx.load(file)
    (weight,) = (e for e in model.graph.initializer if e.name == "model.head.weight")
    huge = onnx.numpy_helper.to_array(weight).copy()
    huge[0, 0] = 70_000
    weight.CopyFrom(onnx.numpy_helper.from_array(huge, weight.name))
    onnx.save(model, file)
    halve_weights(file)
    logits = open_runtime("onnx", file, ("logits",), threads=1)(IMAGES)["logits"]
    assert np.isfinite(logits).all()


@pytest.mark.slow
@pytest.mark.parametrize("file_format", ["openvino", "torch_export"])
def test_the_other_formats_agree_too(file_format: str, small: SmallGraph, tmp_path: Path) -> None:
    """Activations of 1e6, before a batch norm whose variance is 1e12, do not overflow."""
    net = make_net()
    net.stem.weight.data *= 1e6  # type: ignore[union-attr,operator]
    net.stem.bias.data *= 1e6  # type: ignore[union-attr,operator]
    net.norm.running_mean *= 1e6  # type: ignore[union-attr,operator]
    net.norm.running_var *= 1e12  # type: ignore[union-attr,operator]
    if file_format == "openvino":
        graph, file = make_graph(net), tmp_path / "model.xml"
        write_openvino(trace(graph, 3, None), graph, "{}", file, in_fp16=True)
    else:
        graph, file = make_graph(with_half_weights(net)), tmp_path / "model.pt2"
        write_torch_export(trace(graph, 3, None), "{}", file)
        weights = torch.export.load(file).state_dict
        assert torch.float16 in {each.dtype for each in weights.values()}
    ask = open_runtime(file_format, file, tuple(graph.output_names))
    logits, largest = ask(IMAGES)["logits"], np.abs(expected(small)).max()
    assert 0 < np.abs(logits - expected(small)).max() < 2**-8 * largest
