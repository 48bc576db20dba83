"""A format that lacks an operation says which layer needs it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from expkit.data.store.decoding import Decoding
from expkit.data.store.normalizer import Normalizer
from expkit.export.deployed_model import DeployedModel
from expkit.export.files import trace, write_onnx, write_openvino
from expkit.export.unsupported import reason_of

pytestmark = pytest.mark.slow


class Eigenvectors(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        vectors: Tensor = torch.linalg.eigh(images @ images.transpose(-1, -2))[1]
        return vectors


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 3)
        self.odd = Eigenvectors()
        self.head = nn.Linear(2 * 6 * 6, 2)

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.odd(self.stem(images)).flatten(1))
        return outputs


@pytest.mark.parametrize("write", [write_onnx, write_openvino])
def test_the_layer_of_a_missing_operation_is_named(write: object, tmp_path: Path) -> None:
    graph = DeployedModel(
        Odd().eval(), Decoding((8, 8)), Normalizer(torch.ones(3), torch.zeros(3)), 2
    ).eval()
    program = trace(graph, 3, None)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each exporter has its own
        write(program, graph, "{}", tmp_path / "model.onnx")  # type: ignore[operator]
    reason = reason_of(program, caught.value)
    assert reason == "it has no aten.linalg_eigh, which the layer 'odd' (Eigenvectors) needs"
