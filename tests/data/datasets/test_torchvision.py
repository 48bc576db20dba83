"""Torchvision's datasets, from files as torchvision lays them out: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from expkit.data.datasets.torchvision import Torchvision
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.errors import UserError

IDX_UINT8 = 0x0800


def write_idx(path: Path, array: np.ndarray) -> None:
    """The format of MNIST's files: a magic number with the axes' count, their lengths, bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.array([IDX_UINT8 + array.ndim, *array.shape], ">i4")
    path.write_bytes(numbers.tobytes() + array.astype(np.uint8).tobytes())


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """60 training and 20 test digits in MNIST's own files."""
    raw = tmp_path / "sets" / "MNIST" / "raw"
    for name, count, seed in (("train", 60, 0), ("t10k", 20, 1)):
        write_idx(raw / f"{name}-images-idx3-ubyte", noise(count, seed))
        write_idx(raw / f"{name}-labels-idx1-ubyte", np.arange(count) % 10)
    return tmp_path / "sets"


def read(root: Path, name: str = "MNIST", **options: object) -> Dataset:
    given = {"channels": 1, "download": False, **options}
    cache = str(root.parent / "cache")
    return Torchvision(name=name, root=str(root), cache_dir=cache, **given).read(silent)


def test_pictures_and_labels_are_torchvision_s(root: Path) -> None:
    """Each sample's bytes and class, at first and second start; val is made of train by class."""
    for _ in range(2):
        dataset = read(root, val_fraction=1 / 3)
        assert {name: len(samples) for name, samples in dataset.splits.items()} == {
            "train": 40,
            "test": 20,
            "val": 20,
        }
        assert dataset.class_counts("val") == (2,) * 10
        assert dataset.class_names is not None
        assert dataset.class_names[3] == "3 - three"
        for samples in dataset.splits.values():
            for image, target, name in zip(
                samples.images, samples.targets, samples.names, strict=True
            ):
                split, _, number = name.partition("_")
                source = noise(20, 1) if split == "test" else noise(60, 0)
                assert np.array_equal(image[..., 0], source[int(number)])
                assert target == int(number) % 10


def test_named_splits_are_found(root: Path) -> None:
    """Country211 calls its splits train, valid and test: each is read, none is made."""
    for split, count in (("train", 3), ("valid", 2), ("test", 1)):
        for name in ("AT", "CH"):
            for number in range(count):
                path = root / "country211" / split / name / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (6 + number, 5), (number, 0, 0)).save(path)
    dataset = read(root, "Country211", size=4, channels=3)
    assert {name: dataset.class_counts(name) for name in dataset.splits} == {
        "train": (3, 3),
        "val": (2, 2),
        "test": (1, 1),
    }
    assert dataset.class_names == ["AT", "CH"]
    assert dataset.remarks == []
    assert dataset.splits["train"].images.shape == (6, 4, 4, 3)


def refusal(root: Path, name: str, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read(root, name, **options)
    return caught.value


def test_misspelt_name_is_refused(root: Path) -> None:
    """With the nearest."""
    assert refusal(root, "CIFRA10").details["nearest"] == "CIFAR10"


def test_data_that_is_not_there_is_refused(root: Path) -> None:
    """Where it is looked for, and how it comes there."""
    error = refusal(root, "FashionMNIST")
    assert error.what.startswith("FashionMNIST is not there: ")
    assert error.details["where"] == f"dataset.root={root}"
    assert "network" in (error.details["do"] or "")


def test_failed_download_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a network ends in a sentence."""
    import torchvision.datasets.utils
    from torchvision.datasets import CIFAR10

    def fail(*args: object, **options: object) -> None:
        raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", fail)
    monkeypatch.setattr(CIFAR10, "download", fail)
    error = refusal(root, "CIFAR10", download=True)
    assert error.what == ("CIFAR10 cannot be downloaded: Temporary failure in name resolution")


def test_what_is_no_classification_is_refused(root: Path) -> None:
    """A film of moving digits is no image and has no class."""
    (root / "MovingMNIST").mkdir()
    np.save(root / "MovingMNIST" / "mnist_test_seq.npy", np.zeros((20, 12, 64, 64), np.uint8))
    assert "is no classification dataset" in refusal(root, "MovingMNIST").what


def test_wrong_arguments_are_refused(root: Path) -> None:
    """What the class says of them, and their key."""
    error = refusal(root, "SVHN", arguments={"flavour": "sweet"})
    assert "flavour" in error.what
    assert (error.details["where"] or "").startswith("dataset.arguments=")


@pytest.mark.parametrize(
    "name", ["LSUN", "LSUNClass", "FakeData", "VisionDataset", "wrap_dataset_for_transforms_v2"]
)
def test_what_holds_no_images_or_unpickles_is_refused(root: Path, name: str) -> None:
    """LSUN's classes run what a file beside the images says; the others ended in a traceback."""
    assert f"'{name}'" in refusal(root, name).what
