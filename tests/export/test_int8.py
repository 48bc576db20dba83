"""Quantized files: which layers are in 8 bits, and what is never quantized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_graphs import SIZE, SmallGraph, write_small

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.errors import UserError
from expkit.export.int8 import divergence_of, spread_over_classes, write_int8
from expkit.export.quantization import Quantizer, chunks, find_layers

pytestmark = pytest.mark.filterwarnings("ignore")  # of exporters, on their own libraries
OUTSIDE = ("resize", "softmax", "argmax", "addcmul")  # scopes around the model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallGraph:
    return write_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def quantizer(small: SmallGraph) -> Quantizer:
    images = np.random.default_rng(0).integers(0, 256, (32, 10, 10, 3), dtype=np.uint8)
    return Quantizer(small.file, small.graph.layer_prefix, images, None)


def train(num: int) -> dict[str, Split]:
    images = torch.randint(0, 256, (num, SIZE, SIZE, 3), dtype=torch.uint8)
    names = [str(each) for each in range(num)]
    bytes_alone = Normalizer(torch.ones(3), torch.zeros(3))
    targets = torch.arange(num) % 3
    return {"train": Split("train", images, targets, names, ["a", "b", "c"], bytes_alone)}


def int8_weights(file: Path) -> set[str]:
    """The weights of the file that are in 8 bits."""
    return {
        each.name.removesuffix("_quantized")
        for each in onnx.load(file).graph.initializer
        if each.data_type == onnx.TensorProto.INT8 and len(each.dims) > 1
    }


def test_layers_have_the_paths_of_their_modules(small: SmallGraph) -> None:
    """The batch norm that a convolution took up does not rename it; the resize has no layers."""
    layers = find_layers(onnx.load(small.file), small.graph.layer_prefix)
    assert list(layers) == ["stem", "deep", "head"]


def test_weights_are_quantized_by_channel_as_computed_by_hand(
    small: SmallGraph, quantizer: Quantizer, tmp_path: Path
) -> None:
    """Scale = largest weight of the channel over 127 (63 with 7 bits); weight = scale x level."""
    file = tmp_path / "int8.onnx"
    quantizer.write([], file)
    assert len(int8_weights(file)) == 3
    arrays = {e.name: numpy_helper.to_array(e) for e in onnx.load(file).graph.initializer}
    (name,) = (each for each in arrays if "deep.weight" in each and each.endswith("_quantized"))
    scale = arrays[name.replace("_quantized", "_scale")]
    weight = small.graph.get_parameter("model.deep.weight").detach().numpy()
    levels = 63.5 if quantizer.has_7_bits else 127
    assert scale == pytest.approx(np.abs(weight).max(axis=(1, 2, 3)) / levels, rel=0.02)
    restored = arrays[name] * scale[:, None, None, None]
    assert np.abs(restored - weight).max() <= scale.max() * 0.51


def test_the_surroundings_of_the_model_stay_as_they_were(
    quantizer: Quantizer, tmp_path: Path, small: SmallGraph
) -> None:
    """The resize, in double, and the softmax read no dequantized tensor; nor are they rewritten."""
    file = tmp_path / "int8.onnx"
    quantizer.write([], file)
    before, after = (
        {
            node.name: list(node.input)
            for node in onnx.load(each).graph.node
            if any(f"['', '{scope}'" in p.value for p in node.metadata_props for scope in OUTSIDE)
        }
        for each in (small.file, file)
    )
    assert len(before) > 50
    assert after == before


def test_a_layer_in_float_keeps_its_weights(quantizer: Quantizer, tmp_path: Path) -> None:
    for kept, num in ((["deep"], 2), (["stem", "deep", "head"], 0)):
        file = tmp_path / "kept.onnx"
        quantizer.write(kept, file)
        assert len(int8_weights(file)) == num
        assert not any("deep.weight" in name for name in int8_weights(file))


def test_a_file_in_8_bits_agrees_and_says_how_it_was_made(
    small: SmallGraph, tmp_path: Path
) -> None:
    """41 training images: 21 to calibrate on, the other 20 set aside; `--keep-float stem`."""
    torch.manual_seed(1)
    lines: list[str] = []
    made = write_int8(
        small.file,
        small.open,
        small.graph.layer_prefix,
        train(41),
        ["st*"],
        0.9,
        tmp_path / "int8.onnx",
        lines.append,
    )
    assert (made.calibrated_on, made.set_aside, made.num_layers) == (21, 20, 3)
    assert list(made.kept_in_float) == ["stem"]
    assert made.agreement_set_aside > 0.8
    assert len(int8_weights(tmp_path / "int8.onnx")) == 2


def test_without_training_images_it_is_refused(small: SmallGraph, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        write_int8(small.file, small.open, "model.", {}, "auto", 0.9, tmp_path / "x", print)
    assert "training images" in caught.value.screen()


def test_divergence_as_computed_by_hand() -> None:
    """Sum of p ln(p / q); of numbers 0.5^2 over the variance 1."""
    p, q = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.25, 0.75], [1.0, 0.0]])
    by_hand = (0.5 * np.log(2) + 0.5 * np.log(2 / 3)) / 2
    assert divergence_of(p, q, classifies=True) == pytest.approx(by_hand)
    numbers = np.array([[-1.0], [1.0]])
    assert divergence_of(numbers, numbers + 0.5, classifies=False) == pytest.approx(0.25)


@pytest.mark.parametrize("count", [3, 6])
def test_calibration_images_are_spread_over_the_classes(count: int) -> None:
    """Ninety of one class, five of each of two others: all three are among the first three."""
    classes = torch.tensor([0] * 90 + [1] * 5 + [2] * 5)
    first: Sequence[int] = classes[spread_over_classes(classes, 100)[:count]].tolist()
    assert sorted(first) == sorted([0, 1, 2] * (count // 3))


def test_batches_of_a_fixed_size_are_filled_up() -> None:
    images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
    assert [batch.ravel().tolist() for batch in chunks(images, 2)] == [[0, 1], [2, 3], [4, 0]]
