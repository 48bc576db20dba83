"""Files in 8 bits by onnxruntime's quantizer, with ranges measured on training images."""

from __future__ import annotations

import ast
import copy
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from expkit.export.deployed_model import INPUT
from expkit.export.files import without_chatter
from expkit.hardware import saturates_int8

NUM_IMAGES = 256  # to calibrate on, and as many others to choose the layers by
CALIBRATED_AT_ONCE = 16

# Measured on a resnet18 and a logo_vit. Quantizing what joins branches (Add) gained no time, and
# made a transformer's mistakes three times as many; the outputs of matrix products stay in float
# where they are not quantized for the next layer, since a sum with a bias or a norm follows.
LAYERS = ("Conv", "Gemm", "MatMul")
BETWEEN = ("Relu", "Clip", "MaxPool")  # so that 8 bits go from one convolution to the next
FLOAT_OUTPUTS = ("Gemm", "MatMul")

Bytes = npt.NDArray[np.uint8]


class Quantizer:
    """Makes files in 8 bits of one in fp32, each with other layers left in float.

    Activations are unsigned and weights signed, by channel: on x86 both signed took three times as
    long. Ranges are the smallest and largest values: a histogram keeps every value in memory, and
    was no better. Where the processor's sums of 8-bit products overflow, weights have 7 bits.
    """

    def __init__(self, file: Path, layer_prefix: str, images_NHWC: Bytes, batch: int | None):
        import onnx

        self.model = onnx.load(file)
        self.has_7_bits = saturates_int8()
        self.layers = find_layers(self.model, layer_prefix)
        self._between = [
            node.name
            for node in self.model.graph.node
            if node.op_type in BETWEEN and _is_inside(node, layer_prefix)
        ]
        self._ranges = _measure_ranges(file, images_NHWC, batch or CALIBRATED_AT_ONCE)

    def write(self, kept_in_float: Collection[str], to: Path) -> None:
        """Write the model with all layers in 8 bits but for these, as a graph with QDQ nodes."""
        import onnx
        from onnxruntime.quantization import QDQQuantizer, QuantType

        chosen = [
            node
            for layer, nodes in self.layers.items()
            if layer not in kept_in_float
            for node in nodes
        ]
        if not chosen:  # to the quantizer, an empty list means all nodes
            onnx.save(self.model, to)
            return
        with without_chatter():
            quantizer = QDQQuantizer(
                copy.deepcopy(self.model),
                per_channel=True,
                reduce_range=self.has_7_bits,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=[*chosen, *self._between],
                nodes_to_exclude=[],
                op_types_to_quantize=[*LAYERS, *BETWEEN],
                extra_options={"OpTypesToExcludeOutputQuantization": list(FLOAT_OUTPUTS)},
            )
            quantizer.quantize_model()
        onnx.save(quantizer.model.model, to)


def find_layers(model: Any, layer_prefix: str) -> dict[str, list[str]]:
    """The nodes of each layer that has weights to quantize, by the layer's path in the model."""
    constants = {each.name for each in model.graph.initializer}
    layers: dict[str, list[str]] = {}
    for node in model.graph.node:
        has_weights = node.op_type in LAYERS and node.input[1] in constants
        if has_weights and _is_inside(node, layer_prefix):
            layers.setdefault(_layer_of(node, layer_prefix), []).append(node.name)
    return layers


def _layer_of(node: Any, layer_prefix: str) -> str:
    """A convolution that has taken up a batch norm says that it is this; its weights know."""
    owner, _, kind = node.input[1].rpartition(".")
    path = owner if kind == "weight" else scopes_of(node)[-2]
    return path.removeprefix(layer_prefix)


def _is_inside(node: Any, layer_prefix: str) -> bool:
    """Tell whether a node is of the model, and not of what surrounds it."""
    return layer_prefix.rstrip(".") in scopes_of(node)


def scopes_of(node: Any) -> Sequence[str]:
    """The modules around a node of an ONNX graph, outermost first, and its own name."""
    known: Mapping[str, str] = {each.key: each.value for each in node.metadata_props}
    scopes: Sequence[str] = ast.literal_eval(known.get("pkg.torch.onnx.name_scopes", "['']"))
    return scopes


def _measure_ranges(file: Path, images_NHWC: Bytes, batch: int) -> Any:
    from onnxruntime.quantization import CalibrationDataReader, create_calibrator

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = chunks(images_NHWC, batch)

        def get_next(self) -> dict[str, Bytes] | None:
            images = next(self.batches, None)
            return None if images is None else {INPUT: images}

    with tempfile.TemporaryDirectory(dir=file.parent) as folder, without_chatter():
        calibrator = create_calibrator(
            file,
            [*LAYERS, *BETWEEN],
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def chunks(images_NHWC: Bytes, size: int) -> Iterator[Bytes]:
    """Batches of one size, the last one filled up with the first images."""
    num = -(-len(images_NHWC) // size) * size
    filled = np.resize(images_NHWC, (num, *images_NHWC.shape[1:]))
    return (filled[start : start + size] for start in range(0, num, size))
