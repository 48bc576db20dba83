"""The first layer that differs is named, in files that were spoilt on purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_graphs import SIZE, SmallGraph, write_small
from torch import Tensor

from expkit.export.first_difference import (
    FirstDifference,
    compare_resize,
    find_first_difference,
)
from expkit.export.pillow_resize import PillowResize
from expkit.export.quantization import Quantizer
from expkit.records.exported import Precision

pytestmark = pytest.mark.filterwarnings("ignore")  # of exporters, on their own libraries
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 10, 10, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallGraph:
    return write_small(tmp_path_factory.mktemp("small"))


def find(small: SmallGraph, file: Path, precision: Precision = "fp32") -> FirstDifference:
    found = find_first_difference(small.program, small.graph, precision, file, IMAGES)
    assert found is not None
    return found


def spoil(small: SmallGraph, to: Path, part: str, factor: float) -> Path:
    """Multiply a weight of the file."""
    model = onnx.load(small.file)
    (weight,) = (each for each in model.graph.initializer if each.name == part)
    changed = numpy_helper.to_array(weight) * np.float32(factor)
    weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
    onnx.save(model, to)
    return to


def test_a_good_file_has_none_beyond_its_precision(small: SmallGraph) -> None:
    found = find(small, small.file)
    assert not found.is_beyond
    assert found.error < 1e-6


@pytest.mark.parametrize(
    ("weight", "layer", "kind"),
    [
        ("model.stem.weight", "stem", "Conv2d"),  # which took up its batch norm
        ("model.deep.weight", "deep", "Conv2d"),
        ("model.head.weight", "head", "Linear"),
    ],
)
def test_the_layer_of_a_spoilt_weight_is_named_with_its_error(
    small: SmallGraph, tmp_path: Path, weight: str, layer: str, kind: str
) -> None:
    """Weights a hundredth larger: the outputs are, but for the bias, a hundredth larger."""
    found = find(small, spoil(small, tmp_path / "spoilt.onnx", weight, 1.01))
    assert found.is_beyond
    assert (found.layer, found.type) == (layer, kind)
    assert found.error == pytest.approx(0.01, rel=0.5)
    assert found.error_so_far == pytest.approx(found.error, rel=1e-3)  # all before it is right


def test_a_resize_that_was_spoilt_in_the_file_is_named(small: SmallGraph, tmp_path: Path) -> None:
    """Its rounding of levels takes another constant."""
    model = onnx.load(small.file)
    add = next(
        node
        for node in model.graph.node
        if node.op_type == "Add" and node.input[0] == "matmul"  # before it is rounded
    )
    (half,) = (each for each in model.graph.initializer if each.name == add.input[1])
    wrong = numpy_helper.from_array(np.array(7.5), "wrong")
    assert numpy_helper.to_array(half) == 0.5
    model.graph.initializer.append(wrong)
    add.input[1] = "wrong"
    onnx.save(model, tmp_path / "spoilt.onnx")
    found = find(small, tmp_path / "spoilt.onnx")
    assert (found.layer, found.type) == ("resize", "PillowResize")


def test_a_resize_that_is_not_the_runs_is_named(
    small: SmallGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and graph agree with each other there: it is held against the prepared images."""
    levels_BCHW = torch.randint(0, 256, (2, 3, SIZE, SIZE)).float()
    exported = small.open()
    assert compare_resize(small.graph, exported, levels_BCHW) is None
    plain = PillowResize.forward

    def shifted(self: PillowResize, images_BHWC: Tensor) -> Tensor:
        return plain(self, images_BHWC).roll(1, 1)

    monkeypatch.setattr(PillowResize, "forward", shifted)
    found = compare_resize(small.graph, exported, levels_BCHW)
    assert found is not None
    assert found.layer == "resize"
    assert found.is_beyond


def test_8_bits_explain_their_roundings_but_not_a_wrong_weight(
    small: SmallGraph, tmp_path: Path
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (32, 10, 10, 3), dtype=np.uint8)
    for name, factor, beyond in (("good", 1.0, False), ("bad", 1.3, True)):
        file = spoil(small, tmp_path / f"{name}.onnx", "model.deep.weight", factor)
        Quantizer(file, small.graph.layer_prefix, images, None).write([], tmp_path / "int8.onnx")
        found = find(small, tmp_path / "int8.onnx", "int8")
        assert found.is_beyond is beyond
        assert found.error > 1e-3  # 8 bits are seen
    assert found.layer == "deep"
