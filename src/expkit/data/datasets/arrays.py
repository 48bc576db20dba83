"""Images and labels that lie as arrays in .npy or .npz files, with or without splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from expkit.data.store.memory_limits import count_memory_bytes
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.splitting import Selection, tell_made
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Pair = tuple[Array, Array]

SPLITS = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
# as MedMNIST, Keras and others call them
PAIRS_OF_SPLITS = (("{}_images", "{}_labels"), ("x_{}", "y_{}"), ("images_{}", "labels_{}"))
PAIRS = (("images", "labels"), ("x", "y"), ("data", "targets"), ("arr_0", "arr_1"))
NAMES = """train_images and train_labels (val_, test_ alike), x_train and y_train (x_val alike),
or images and labels, x and y, data and targets, of which val and test are made here"""
MOST_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class Arrays(Selection):
    """One .npz file, a folder of .npy files with the same names, or two .npy files."""

    images: str
    labels: str | None = None
    class_names: Sequence[str] | None = None
    normalize: Normalization = "dataset"
    memory_fraction: Annotated[float, Ge(0), Le(1)] = 0.25

    def read(self, on_progress: ProgressCallback) -> Dataset:
        path = Path(self.images).expanduser()
        pairs = self._find_pairs(path)
        names, targets = self._encode({split: labels for split, (_, labels) in pairs.items()})
        given = {}
        for split, (images, _) in pairs.items():
            start = "" if len(pairs) == 1 else f"{split}_"
            sample_names = [f"{start}{i:0{len(str(len(images)))}}" for i in range(len(images))]
            given[split] = Samples(self._settle(images), targets[split], sample_names)
        splits = self.divide(given, names)
        return Dataset(splits, self.normalize, class_names=names, remarks=tell_made(given, splits))

    def _find_pairs(self, path: Path) -> dict[str, Pair]:
        if self.labels is not None:
            files: Mapping[str, Any] = {
                "images": _load(path, "images"),
                "labels": _load(Path(self.labels).expanduser(), "labels"),
            }
        elif path.is_dir():
            files = {each.stem: each for each in sorted(path.glob("*.npy"))}
        elif path.suffix == ".npy":
            raise UserError(
                f"'{path}' holds images alone",
                where="dataset.labels=null",
                fix="dataset.labels=FILE.npy",
            )
        else:
            self._check_size(path)
            files = _load(path, "images")
        pairs = {
            split: (_look_up(files, images), _look_up(files, labels))
            for split, (images, labels) in match_names(files, evaluate_only=self.evaluate_only)
        }
        if not pairs or ("train" not in pairs and not self.evaluate_only):
            what = "" if self.evaluate_only else " to train on"
            raise UserError(
                f"there are no images with labels{what} in '{path}'",
                where=f"dataset.images={path}: found {', '.join(files) or 'no arrays'}",
                allowed=NAMES,
            )
        return {split: check_pair(*pair, split) for split, pair in pairs.items()}

    def _encode(self, labels: Mapping[str, Array]) -> tuple[list[str], dict[str, Array]]:
        """Class names, and class indices by split."""
        _check_kinds(labels)
        everything = np.unique(np.concatenate(list(labels.values())))
        if not self.evaluate_only:
            _check_known(labels)
        # without names of their own, numbers stand for themselves: not all may occur
        is_named = everything.dtype.kind == "U" or (self.evaluate_only and not self.class_names)
        if is_named:
            names = [str(each) for each in everything]
            return names, {s: np.searchsorted(everything, each) for s, each in labels.items()}
        # no more names than labels are made up: a label may be any number
        most = min(int(everything[-1]) + 1, len(everything) + 1)
        names = list(self.class_names or map(str, range(most)))
        lacking = sorted(set(range(len(names))) - set(everything.tolist()))
        lacking = [] if self.evaluate_only else lacking
        if everything[0] < 0 or everything[-1] >= len(names) or lacking:
            what = f"no sample has {', '.join(map(str, lacking[:10]))}; " if lacking else ""
            raise UserError(
                "the labels are not the class indices 0 to C - 1",
                where=f"dataset.labels: {what}they are from {everything[0]} to {everything[-1]}"
                + (f", and {len(names)} class_names are given" if self.class_names else ""),
                allowed="whole numbers 0 to C - 1, each in use, or text",
                fix="labels = np.unique(labels, return_inverse=True)[1]",
            )
        return names, {split: each.astype(np.int64) for split, each in labels.items()}

    def _fits(self, num_bytes: int) -> bool:
        return num_bytes <= self.memory_fraction * count_memory_bytes()

    def _check_size(self, path: Path) -> None:
        if path.is_file() and not self._fits(path.stat().st_size):
            raise UserError(
                f"'{path}' does not fit the fraction of the memory that it may take",
                where=f"dataset.memory_fraction={self.memory_fraction:g}",
                fix="save the arrays as .npy files in a folder, which can be mapped",
            )

    def _settle(self, images: Array) -> Array:
        """Resident where it fits; what is mapped is left in its file."""
        is_mapped = isinstance(images, np.memmap)
        if is_mapped and (self._fits(images.nbytes) or not images.flags.c_contiguous):
            return np.array(images, order="C")
        return images


def _check_kinds(labels: Mapping[str, Array]) -> None:
    """numpy would turn numbers into text where both meet, and so into other classes."""
    kinds = {
        split: "text" if each.dtype.kind == "U" else "numbers" for split, each in labels.items()
    }
    if len(set(kinds.values())) > 1:
        raise UserError(
            "some splits have text for labels, and some numbers",
            where="dataset.labels: " + ", ".join(f"{s}: {kind}" for s, kind in kinds.items()),
            allowed="one kind in all splits",
        )


def _check_known(labels: Mapping[str, Array]) -> None:
    for split, each in labels.items():
        unknown = np.setdiff1d(each, labels["train"])
        if len(unknown):
            raise UserError(
                f"the split {split} has labels that train lacks",
                where=f"dataset.labels: {', '.join(map(repr, unknown[:10].tolist()))}",
                allowed="labels of the training samples",
            )


def match_names(
    files: Mapping[str, object], *, evaluate_only: bool = False
) -> Iterator[tuple[str, tuple[str, str]]]:
    """The arrays of each split by the first naming that the files follow."""
    for patterns in PAIRS_OF_SPLITS:
        found = {}
        for split, words in SPLITS.items():
            for word in words:
                images, labels = (pattern.format(word) for pattern in patterns)
                if images in files and labels in files:
                    found[split] = (images, labels)
        if "train" in found or (found and evaluate_only):
            yield from found.items()
            return
    pairs = [("train", pair) for pair in PAIRS if set(pair) <= set(files)]
    yield from pairs[:1]


def _look_up(files: Mapping[str, Any], name: str) -> Array:
    found = files[name]
    array: Array = _load(found, name) if isinstance(found, Path) else found
    return array


def _load(path: Path, key: str) -> Any:
    """An array mapped from a .npy file, or the arrays of an .npz by name; no code runs from it."""
    where = f"dataset.{key}={path}"
    try:
        if path.suffix != ".npz":
            return np.load(path, mmap_mode="c", allow_pickle=False)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return dict(archive)
    except FileNotFoundError:
        raise UserError(f"there is no file '{path}'", where=where) from None
    except Exception as error:  # a torn archive raises whatever it will
        is_code = any(word in str(error) for word in ("pickle", "Python objects"))
        reason = "it holds Python objects, which could run code" if is_code else str(error)
        raise UserError(
            f"'{path}' cannot be read as arrays: {reason}",
            where=where,
            allowed="what np.save or np.savez writes of numbers, or of labels as text",
        ) from error


def check_pair(images: Array, labels: Array, split: str) -> Pair:
    """N x H x W x C in uint8 and N labels, or a refusal that says how to mend them."""
    where = f"the split {split}: images {images.dtype} {images.shape}, labels {labels.dtype} "
    where += str(labels.shape)
    if images.dtype != np.uint8:
        raise UserError(
            f"the images are {images.dtype} and not uint8 (0 to 255){_find_nan(images)}",
            where=where,
            fix="save (images * 255).round().astype('uint8') where they are in [0, 1]",
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] > MOST_CHANNELS or 0 in images.shape[1:]:
        is_first = images.ndim == 4 and images.shape[1] <= MOST_CHANNELS
        raise UserError(
            "the images are not laid out as N x H x W or N x H x W x C",
            where=where,
            allowed=f"1 to {MOST_CHANNELS} channels, on the last axis",
            fix="save images.transpose(0, 2, 3, 1)" if is_first else None,
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"the labels are bytes that are no UTF-8: {error.object!r:.60}",
                where=where,
                fix="save labels.astype(str)",
            ) from error
    if labels.ndim != 1 or labels.dtype.kind not in "iubU":
        raise UserError(
            f"the labels are not one whole number or text for each image{_find_nan(labels)}",
            where=where,
            allowed="N class indices 0 to C - 1, or N names",
            fix="labels.argmax(1) where they are one-hot" if labels.ndim == 2 else None,
        )
    if len(images) != len(labels) or not len(labels):
        raise UserError(f"there are {len(images)} images and {len(labels)} labels", where=where)
    return images, np.asarray(labels)


def _find_nan(array: Array) -> str:
    if array.dtype.kind != "f":
        return ""
    count = int(np.isnan(array).sum())
    return f", and {count} of their numbers are NaN" if count else ""
