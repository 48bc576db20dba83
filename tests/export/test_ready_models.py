"""Every ready model of conf/model is written as ONNX, and the file predicts what it predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from expkit.config.compose import change_parts
from expkit.config.paths import builtin_conf
from expkit.data.store.decoding import Decoding
from expkit.data.store.normalizer import Normalizer
from expkit.export.deployed_model import DeployedModel
from expkit.export.files import trace, write_onnx
from expkit.models.runtimes import open_runtime
from expkit.runner.components import make_model

CHOICES = sorted(path.stem for path in (builtin_conf() / "model").glob("*.yaml"))
SIZES = {"dinov2_vits14": 56}  # the patch of 14 divides it
CHANNELS = {"vit_scanline": 1}
NUM_CLASSES = 5
QUICK = ("simple_conv",)

pytestmark = pytest.mark.filterwarnings("ignore")  # of exporters, on their own libraries


@pytest.mark.parametrize(
    "choice",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CHOICES],
)
def test_a_ready_model_is_exported_and_agrees(choice: str, tmp_path: Path) -> None:
    """Random weights, odd batch statistics, images of other sizes than the model's."""
    size, channels = SIZES.get(choice, 64), CHANNELS.get(choice, 3)
    words = [f"model={choice}", *(["model.name=resnet10t"] if choice == "timm" else [])]
    node = change_parts({"model": {}}, words)["model"]
    torch.manual_seed(0)
    model = make_model(node, image_shape=(channels, size, size), num_outputs=NUM_CLASSES).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    normalizer = Normalizer(torch.full((channels,), 1 / 60), torch.full((channels,), -2.0))
    graph = DeployedModel(model, Decoding((size, size)), normalizer, NUM_CLASSES).eval()
    file = tmp_path / "model.onnx"
    write_onnx(trace(graph, channels, None), graph, "{}", file)
    ask = open_runtime("onnx", file, tuple(graph.output_names), threads=1)
    for num, height, width in ((1, size, size), (3, 50, 81)):
        images = torch.randint(0, 256, (num, height, width, channels), dtype=torch.uint8)
        with torch.no_grad():
            expected = dict(zip(graph.output_names, graph(images), strict=True))
        given = ask(images.numpy())
        difference = np.abs(given["probabilities"] - expected["probabilities"].numpy()).max()
        assert difference < 1e-4
        assert (given["prediction"] == expected["prediction"].numpy()).all()
