"""From image files to predictions, by `expkit predict` and by predict.py of the exported folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from handwritten_exports import CLASSES, write_folder
from PIL import Image
from torch import Tensor, nn

from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.datasets.table import Table
from expkit.data.store.progress import silent
from expkit.data.store.split import place_splits
from expkit.export.from_files import compare_files, find_files, write_script
from expkit.export.standalone import predict
from expkit.export.verification import BatchResult, FromFiles, Verification
from expkit.models.exported import ExportedModel
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.runner.components import Parts
from expkit.runner.restoring import Restored
from expkit.training.device import DeviceChoice


class Brightness(nn.Module):
    """The model that tests/support/exported_folders.py writes by hand, in torch."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        bright_B = images_BCHW.mean((1, 2, 3)) / 255
        return torch.stack([1 - bright_B, bright_B], 1).log()


def paint(path: Path, level: int, size: tuple[int, int] = (11, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level,) * 3).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Dark and bright images; some names stand in both splits, as other images."""
    root = tmp_path / "images"
    for i in range(6):
        paint(root / "train" / "dark" / f"{i}.png", 10 + i, (9, 9 + i))
        paint(root / "train" / "bright" / f"{i}.png", 200 + i)
        paint(root / "val" / "dark" / f"{i}.png", 60 + i, (20, 8))
        paint(root / "val" / "bright" / f"{i}.png", 150 + i, (8 + i, 30))
    return root


def source_of(root: Path, **options: Any) -> ImageFolder:
    cache = str(root.parent / "cache")
    return ImageFolder(root=str(root), size=8, normalize="none", cache_dir=cache, **options)


def parts_of(source: Any, node: Any) -> tuple[Restored, Parts]:
    """What a restored run and its data are to the comparison, without any training."""
    dataset = source.read(silent)
    splits = place_splits(dataset, torch.device("cpu"))
    metadata = DatasetMetadata(
        "images",
        "classification",
        CLASSES,
        None,
        (3, 8, 8),
        {name: SplitMetadata(len(each), None, "f00d") for name, each in splits.items()},
        {},
        {"decoding": dataset.decoding.to_json()},
    )
    device = DeviceChoice(name="cpu", precision="fp32").open()
    run = SimpleNamespace(dataset=metadata)
    normalizer = splits["val"].normalizer
    restored = Restored(cast("Any", run), Brightness(), device, normalizer)
    inputs = SimpleNamespace(config=SimpleNamespace(dataset=node, trust=()))
    return restored, cast("Parts", SimpleNamespace(inputs=inputs, splits=splits))


def compared(root: Path, tmp_path: Path) -> FromFiles:
    write_folder(tmp_path / "exported")
    target = "expkit.data.datasets.image_folder.ImageFolder"
    cache = str(tmp_path / "cache")
    node = {"_target_": target, "root": str(root), "size": 8, "cache_dir": cache}
    restored, parts = parts_of(source_of(root), node)
    exported = cast("ExportedModel", None)  # the script opens the file itself
    return compare_files(restored, parts, exported, tmp_path / "exported")


def test_the_same_files_get_the_same_predictions_both_ways(images: Path, tmp_path: Path) -> None:
    """All twelve held-out files, of several sizes, none of them in the model's."""
    found = compared(images, tmp_path)
    assert (found.num_files, found.num_equal, found.reason) == (12, 12, "")
    assert found.largest_difference < 1e-6
    assert found.passed(1.0)


def test_a_script_that_prepares_images_otherwise_is_found_out(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inverted images change every prediction: bright is dark."""
    read = predict.read_image
    monkeypatch.setattr(predict, "read_image", lambda *given: 255 - read(*given))
    found = compared(images, tmp_path)
    assert (found.num_files, found.num_equal) == (12, 0)
    # level 60 of 255 against 195
    assert found.largest_difference == pytest.approx((195 - 60) / 255, abs=1e-5)
    assert not found.passed(0.99)


def test_a_file_that_the_script_cannot_read_is_no_equal_prediction(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = predict.read_image

    def refuse(path: Path, channels: int) -> Any:
        if path.name == "3.png":
            raise ValueError("not today")
        return read(path, channels)

    monkeypatch.setattr(predict, "read_image", refuse)
    found = compared(images, tmp_path)
    assert (found.num_files, found.num_equal, found.reason) == (12, 10, "not today")
    assert found.largest_difference == float("inf")


def test_data_without_files_says_so(images: Path, tmp_path: Path) -> None:
    restored, parts = parts_of(
        source_of(images), {"_target_": "expkit.data.datasets.digits.Digits"}
    )
    found = compare_files(restored, parts, cast("Any", None), tmp_path)
    assert found == FromFiles(0, reason="the samples of images are not image files")


def test_a_samples_file_is_the_one_that_decodes_to_its_bytes(images: Path) -> None:
    """A name that stands in two splits, also where folds have mixed them; one that changed."""
    source = source_of(images, fold=0, num_folds=3)
    splits = place_splits(source.read(silent), torch.device("cpu"))
    decoding = source.decoding
    found = find_files(source, splits["val"], decoding)
    assert len(found) == len(splits["val"])
    for path, name, image in zip(
        found, splits["val"].sample_names, splits["val"].images_NHWC, strict=True
    ):
        assert f"{path.parent.name}/{path.name}" == name
        assert np.array_equal(decoding.decode(path), image.numpy())
    paint(found[0], 0)
    found[1].write_bytes(b"no image")
    assert find_files(source, splits["val"], decoding) == found[2:]


def test_the_files_of_a_table_are_found_by_its_paths(images: Path, tmp_path: Path) -> None:
    rows = [
        f"{path.relative_to(images)},{path.parent.name},{path.parents[1].name}"
        for path in sorted(images.glob("*/*/*.png"))
    ]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label,split", *rows]))
    cache = str(tmp_path / "cache")
    source = Table(table=str(table), root=str(images), size=8, normalize="none", cache_dir=cache)
    splits = place_splits(source.read(silent), torch.device("cpu"))
    found = find_files(source, splits["val"], source.decoding)
    assert [str(path.relative_to(images)) for path in found] == list(splits["val"].sample_names)
    assert len(found) == 12


def test_one_file_in_64_may_differ_where_99_percent_must_agree() -> None:
    """To the nearest whole file: at 99.9 % none of 64, and of 12 none at 99 %."""
    assert FromFiles(64, 63).passed(0.99)
    assert not FromFiles(64, 62).passed(0.99)
    assert not FromFiles(64, 63).passed(0.999)
    assert not FromFiles(12, 11).passed(0.99)
    assert FromFiles(0, reason="no files").passed(0.999)


def test_the_files_count_for_the_verdict() -> None:
    arrays = {"1": BatchResult(100, 0.0)}
    proof = Verification("val", True, 100, 0.999, arrays, None)
    assert proof.passed
    for num_equal, passes in ((64, True), (60, False)):
        files = FromFiles(64, num_equal)
        tried = Verification("val", True, 100, 0.999, arrays, None, files)
        assert tried.passed == passes
        assert tried.to_json()["passed"] == passes
        assert tried.to_json()["from_files"]["num_equal"] == num_equal
        assert tried.to_json()["from_files"]["agreement"] == num_equal / 64


def test_what_is_no_number_is_null_in_the_record() -> None:
    """JSON has no infinity: other programs could not read it."""
    arrays = {"1": BatchResult(99, float("inf"))}
    proof = Verification("val", True, 100, 0.9, arrays, None, FromFiles(4, 3, float("inf")))
    record = json.loads(json.dumps(proof.to_json(), allow_nan=False))
    assert record["largest_difference"] is None
    assert record["batch_sizes"]["1"] == {"num_equal": 99, "largest_difference": None}
    assert record["from_files"]["largest_difference"] is None


def test_the_script_of_the_folder_is_the_package_s_to_the_byte(tmp_path: Path) -> None:
    write_script(tmp_path, "onnx")
    assert (tmp_path / "predict.py").read_bytes() == Path(predict.__file__).read_bytes()


def test_a_file_of_torch_export_has_no_script(tmp_path: Path) -> None:
    write_script(tmp_path, "torch_export")
    assert not list(tmp_path.iterdir())
