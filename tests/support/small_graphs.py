"""A small convolutional net in the graph that is exported, and its ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from expkit.data.store.decoding import Decoding
from expkit.data.store.normalizer import Normalizer
from expkit.export.deployed_model import DeployedModel
from expkit.export.files import trace, write_onnx
from expkit.models.exported import ExportedModel
from expkit.models.runtimes import open_runtime

SIZE, CROP = 8, 0.8  # files are 10 x 10 before the crop


@dataclass(frozen=True)
class SmallGraph:
    """The graph, the program whose nodes name the file's tensors, and the file."""

    graph: DeployedModel
    program: torch.export.ExportedProgram
    file: Path

    def open(self, file: Path | None = None) -> ExportedModel:
        runtime = open_runtime("onnx", file or self.file, tuple(self.graph.output_names), threads=1)
        return ExportedModel(runtime, (10, 10), None, self.graph.output_names)


def make_net() -> nn.Module:
    """Two convolutions with batch norm, and a head of three classes, of known random weights."""
    torch.manual_seed(0)
    net = nn.Sequential()
    net.stem = nn.Conv2d(3, 8, 3, padding=1)
    net.norm = nn.BatchNorm2d(8)
    net.act = nn.ReLU()
    net.deep = nn.Conv2d(8, 8, 3, padding=1)
    net.deep_act = nn.ReLU()
    net.pool = nn.Flatten()
    net.head = nn.Linear(8 * SIZE * SIZE, 3)
    nn.init.uniform_(net.norm.running_var, 0.5, 2.0)
    return net.eval()


def make_graph(net: nn.Module) -> DeployedModel:
    """Resize, normalization to about -2 to 2, and the net."""
    normalizer = Normalizer(torch.full((3,), 1 / 64), torch.full((3,), -2.0))
    return DeployedModel(net, Decoding((SIZE, SIZE), CROP), normalizer, 3).eval()


def write_small(folder: Path) -> SmallGraph:
    """Trace the net and write its ONNX file."""
    graph, file = make_graph(make_net()), folder / "model.onnx"
    return SmallGraph(graph, write_onnx(trace(graph, 3, None), graph, "{}", file), file)
