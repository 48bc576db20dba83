"""Weights kept in 16 bits, and computed with in 32: half the size, and nothing overflows.

A processor gains no time by fp16: its runtimes compute in fp32, and cast to and fro. Activations
in fp16 end at 65,504, which batch norm over plain bytes exceeds.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

SMALLEST = 256  # numbers: what is smaller is a norm, a bias or a constant, and stays in fp32
LARGEST = 65_504.0  # in fp16


class _AsFloat(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight.float()


def with_half_weights(model: nn.Module) -> nn.Module:
    """Return a copy whose large weights are kept in fp16, and read in fp32."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.dtype == torch.float32 and _fits(weight.detach().numpy()):
                weight.data = weight.data.half()
                parametrize.register_parametrization(module, name, _AsFloat(), unsafe=True)
    return model.eval()


def halve_weights(file: Path) -> None:
    """Keep the large weights of an ONNX file in fp16, with a cast to fp32 where they are read."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(file)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(weight)
        if not _fits(array):
            continue
        name = weight.name
        halved = numpy_helper.from_array(array.astype(np.float16), f"{name}.fp16")
        weight.CopyFrom(halved)
        casts.append(
            helper.make_node(
                "Cast", [halved.name], [name], f"cast {name}", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, file)


def _fits(weight: np.ndarray) -> bool:
    return weight.size >= SMALLEST and bool(np.abs(weight).max() <= LARGEST)
