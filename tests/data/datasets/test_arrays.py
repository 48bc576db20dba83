"""Arrays from files: by any of their usual names, mapped where large, refused where unclear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from expkit.data.datasets.arrays import Arrays
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.errors import UserError

NOTHING_HELD_OUT = {"val_fraction": 0, "test_fraction": 0}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def read_pair(tmp_path: Path, images: Any, labels: Any, **options: object) -> Dataset:
    np.save(tmp_path / "p.npy", images)
    np.save(tmp_path / "l.npy", labels)
    given = {**NOTHING_HELD_OUT, **options}
    paths = {"images": str(tmp_path / "p.npy"), "labels": str(tmp_path / "l.npy")}
    return Arrays(**paths, **given).read(silent)


def refusal(tmp_path: Path, images: Any, labels: Any, **options: object) -> UserError:
    with pytest.raises(UserError) as caught:
        read_pair(tmp_path, images, labels, **options)
    return caught.value


@pytest.mark.parametrize("memory_fraction", [0.0, 0.25])
def test_grey_pictures_get_a_channel(tmp_path: Path, memory_fraction: float) -> None:
    """N x H x W is N x H x W x 1, resident and mapped; names are numbers that sort."""
    images = noise(11, 3, 4)
    dataset = read_pair(tmp_path, images, np.arange(11) % 2, memory_fraction=memory_fraction)
    train = dataset.splits["train"]
    assert train.is_mapped == (memory_fraction == 0)
    assert np.array_equal(train.images[..., 0], images)
    assert train.names[1] == "01"
    assert dataset.class_names == ["0", "1"]
    assert train.targets.dtype == np.int64


def test_labels_as_text_are_class_names(tmp_path: Path) -> None:
    """In alphabetical order, with the samples' indices to match."""
    dataset = read_pair(tmp_path, noise(4, 3, 4, 3), np.array(["dog", "cat", "dog", "ant"]))
    assert dataset.class_names == ["ant", "cat", "dog"]
    assert dataset.splits["train"].targets.tolist() == [2, 1, 2, 0]


@pytest.mark.parametrize(
    "names",
    [
        {"train": ("train_images", "train_labels"), "val": ("val_images", "val_labels")},
        {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},
        {"train": ("images_train", "labels_train"), "val": ("images_valid", "labels_valid")},
    ],
)
@pytest.mark.parametrize("is_archive", [True, False])
def test_splits_of_its_own(
    tmp_path: Path, names: dict[str, tuple[str, str]], is_archive: bool
) -> None:
    """As MedMNIST and Keras name them, in an archive or a folder; labels may be N x 1."""
    arrays = {}
    for number, (images, labels) in enumerate(names.values()):
        arrays[images] = noise(6, 3, 4) // (number + 1)
        arrays[labels] = (np.arange(6) % 2)[:, None]
    if is_archive:
        np.savez(tmp_path / "all.npz", **arrays)
    else:
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", array)
    path = tmp_path / "all.npz" if is_archive else tmp_path
    splits = Arrays(images=str(path), **NOTHING_HELD_OUT).read(silent).splits
    assert list(splits) == list(names)
    for number, samples in enumerate(splits.values()):
        assert np.array_equal(samples.images[..., 0], noise(6, 3, 4) // (number + 1))
        assert samples.targets.tolist() == [0, 1, 0, 1, 0, 1]


def test_splits_are_made_where_there_are_none(tmp_path: Path) -> None:
    """By class, and each image keeps its label; the mapped file is not copied."""
    images = np.arange(40).astype(np.uint8).reshape(40, 1, 1).repeat(3, 1).repeat(3, 2)
    dataset = read_pair(
        tmp_path, images, np.arange(40) % 2, val_fraction=0.1, test_fraction=0.1, memory_fraction=0
    )
    assert {name: dataset.class_counts(name) for name in dataset.splits} == {
        "train": (16, 16),
        "val": (2, 2),
        "test": (2, 2),
    }
    for samples in dataset.splits.values():
        assert samples.rows is not None
        assert np.array_equal(samples.images[samples.rows][:, 0, 0, 0] % 2, samples.targets)
    assert dataset.remarks == ["held out of the training samples, by class: 4 val, 4 test"]


LABELS = np.arange(4) % 2


@pytest.mark.parametrize(
    ("images", "labels", "what", "detail"),
    [
        (noise(4, 3, 4) / 255, LABELS, "are float64 and not uint8", "astype('uint8')"),
        (np.full((4, 3, 4), np.nan), LABELS, "and 48 of their numbers are NaN", "float64"),
        (noise(4, 3, 4).astype(np.uint16), LABELS, "are uint16", "uint16 (4, 3, 4)"),
        (noise(4, 3, 20, 20), LABELS, "not laid out", "images.transpose(0, 2, 3, 1)"),
        (noise(4, 12), LABELS, "not laid out", "1 to 4 channels"),
        (noise(4, 3, 4), np.arange(5) % 2, "4 images and 5 labels", "labels int64 (5,)"),
        (noise(4, 3, 4), np.array([0, 1, 1, 3]), "not the class indices", "no sample has 2"),
        (noise(4, 3, 4), np.array([1, 2, 2, 1]), "not the class indices", "no sample has 0"),
        (noise(4, 3, 4), np.array([-1, 0, 1, 1]), "not the class indices", "from -1 to 1"),
        (noise(4, 3, 4), np.array([7, 2**62, 7, 8]), "not the class indices", "from 7 to"),
        (noise(4, 3, 4), np.array([b"\xff", b"a", b"a", b"b"]), "bytes that are no UTF-8", "S1"),
        (noise(4, 3, 4), np.array([0, 1, np.nan, 1]), "and 1 of their numbers are NaN", "float64"),
        (noise(4, 3, 4), np.eye(4)[:, :2], "not one whole number or text", "labels.argmax(1)"),
        (noise(0, 3, 4), LABELS[:0], "0 images and 0 labels", "split train"),
    ],
)
def test_unclear_arrays_are_refused(
    tmp_path: Path, images: np.ndarray, labels: np.ndarray, what: str, detail: str
) -> None:
    """Nothing is guessed, and what to do is said."""
    error = refusal(tmp_path, images, labels)
    assert what in error.what
    assert detail in error.screen()


def test_class_names_must_fit(tmp_path: Path) -> None:
    """As many as there are classes."""
    dataset = read_pair(tmp_path, noise(4, 3, 4), LABELS, class_names=["no", "yes"])
    assert dataset.class_names == ["no", "yes"]
    error = refusal(tmp_path, noise(4, 3, 4), LABELS, class_names=["a", "b", "c"])
    assert "3 class_names are given" in (error.details["where"] or "")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    """A stranger's array may hold code; it is refused and not run."""
    labels = np.array([0, 1, None, "x"], dtype=object)
    np.save(tmp_path / "p.npy", noise(4, 3, 4))
    np.save(tmp_path / "l.npy", labels, allow_pickle=True)
    with pytest.raises(UserError, match="Python objects, which could run code"):
        Arrays(images=str(tmp_path / "p.npy"), labels=str(tmp_path / "l.npy")).read(silent)


def test_files_that_hold_no_arrays_are_refused(tmp_path: Path) -> None:
    """Missing, torn, alone, or with names that say nothing: one sentence each."""
    np.savez(tmp_path / "odd.npz", first=noise(2, 3, 4), second=LABELS)
    np.save(tmp_path / "alone.npy", noise(2, 3, 4))
    (tmp_path / "torn.npz").write_bytes((tmp_path / "odd.npz").read_bytes()[:100])
    for name, what in {
        "none.npz": "there is no file",
        "torn.npz": "cannot be read as arrays",
        "alone.npy": "holds images alone",
        "odd.npz": "no images with labels",
    }.items():
        with pytest.raises(UserError, match=what) as caught:
            Arrays(images=str(tmp_path / name)).read(silent)
        assert name != "odd.npz" or "found first, second" in (caught.value.details["where"] or "")


def test_archive_larger_than_its_share_is_refused(tmp_path: Path) -> None:
    """Archives cannot be mapped; plain files can, and that is said."""
    np.savez(tmp_path / "a.npz", images=noise(4, 3, 4), labels=LABELS)
    with pytest.raises(UserError, match="does not fit") as caught:
        Arrays(images=str(tmp_path / "a.npz"), memory_fraction=0.0).read(silent)
    assert ".npy files in a folder" in (caught.value.details["do"] or "")


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (np.array([0, 1, 0, 1]), "some splits have text for labels, and some numbers"),
        (np.array(["a", "b", "a", "c "]), "the split test has labels that train lacks"),
    ],
)
def test_splits_of_other_labels_are_refused(
    tmp_path: Path, labels: npt.NDArray[np.generic], what: str
) -> None:
    """They would become classes that nothing was trained on."""
    path = tmp_path / "all.npz"
    train = np.array(["a", "b", "a", "b"])
    np.savez(path, x_train=noise(4, 3, 4), y_train=train, x_test=noise(4, 3, 4), y_test=labels)
    with pytest.raises(UserError, match=what):
        Arrays(images=str(path), **NOTHING_HELD_OUT).read(silent)
