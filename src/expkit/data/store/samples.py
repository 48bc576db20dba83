"""Samples as uint8, in memory or in a mapped file, as every dataset reads them; no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from expkit.data.store.decoding import Decoding
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.row_file import RowFile
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

Normalization = Literal["none", "unit", "dataset", "sample", "scan_line", "imagenet"]
"""0 to 255 as they are; 0 to 1; or mean 0 and standard deviation 1: of a channel over the training
images, of each image, of each of its rows, or of a channel over ImageNet."""

HASHED_AT_ONCE = 1024  # images: no copy of all of them is made


@dataclass(frozen=True)
class Samples:
    """One split: a class index or some numbers for each sample, and its image in uint8.

    Where `rows` are given, they say which images of the store `images` are the samples', as
    always of a mapped file that splits share; else all are, in order.
    """

    images: npt.NDArray[np.uint8]  # N x H x W x C
    targets: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    names: Sequence[str]
    rows: npt.NDArray[np.int64] | None = None
    digests: npt.NDArray[np.uint64] | None = None  # of each sample's image, where a cache has it

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def is_mapped(self) -> bool:
        """Tell whether the images lie in a file, and are not to be copied into memory."""
        return isinstance(self.images, np.memmap)

    def select(self, chosen: npt.NDArray[np.int64]) -> Samples:
        """Some of the samples, by their rows: nothing is copied before `settle`."""
        return Samples(
            images=self.images,
            targets=self.targets[chosen],
            names=[self.names[i] for i in chosen.tolist()],
            rows=self._rows()[chosen],
            digests=None if self.digests is None else self.digests[chosen],
        )

    def join(self, other: Samples) -> Samples:
        """Both, one after the other."""
        first, second = self, other
        if first.images is not second.images:
            first, second = first.settle(), second.settle()
            if first.is_mapped or second.is_mapped:
                raise UserError(
                    "samples of two files that are too large for memory cannot be pooled",
                    where="dataset.fold",
                    fix="put train and val into one file, or raise dataset.memory_fraction",
                )
            images = np.concatenate([first.images, second.images])
            rows = None
        else:
            images, rows = first.images, np.concatenate([first._rows(), second._rows()])
        has_digests = first.digests is not None and second.digests is not None
        return Samples(
            images=images,
            targets=np.concatenate([first.targets, second.targets]),
            names=[*first.names, *second.names],
            rows=rows,
            digests=np.concatenate([first.digests, second.digests]) if has_digests else None,
        )

    def settle(self) -> Samples:
        """Gathered where the store is resident, without a copy where the rows are a range."""
        if self.is_mapped or self.rows is None:
            return self
        first, count = int(self.rows[0]) if len(self) else 0, len(self)
        is_range = np.array_equal(self.rows, np.arange(first, first + count))
        images = self.images[first : first + count] if is_range else self.images[self.rows]
        return replace(self, images=images, rows=None)

    def _rows(self) -> npt.NDArray[np.int64]:
        return np.arange(len(self)) if self.rows is None else self.rows

    def fingerprint(self) -> str:
        """Tells data apart: two runs with the same one saw the same bytes."""
        shape = (len(self), *self.images.shape[1:])
        digest = hashlib.sha256(str(shape).encode())
        if self.digests is not None:
            digest.update(self.digests.tobytes())
        else:
            file = RowFile(self.images) if self.is_mapped else None
            for start in range(0, len(self), HASHED_AT_ONCE):
                rows = self._rows()[start : start + HASHED_AT_ONCE]
                digest.update((self.images[rows] if file is None else file.read(rows)).tobytes())
        digest.update(self.targets.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Cutting:
    """A split whose samples are the cells of one image: for pages that show them in place."""

    image: npt.NDArray[np.uint8]
    rows: int
    columns: int
    cells: Sequence[int]  # of each sample: row * columns + column


@dataclass(frozen=True)
class Dataset:
    """Splits (train, and val or test where there are) with one kind of target."""

    splits: Mapping[str, Samples]
    normalize: Normalization
    class_names: Sequence[str] | None = None  # for classification
    target_names: Sequence[str] | None = None  # for regression
    cuttings: Mapping[str, Cutting] = field(default_factory=dict)
    remarks: Sequence[str] = ()  # what the user should know of how it was read
    decoding: Decoding | None = None  # how another image file becomes such a sample
    # views for test-time augmentation (`training.arguments.View`) that are no such images, and why
    unsuitable_views: Mapping[str, str] = field(default_factory=dict)

    def class_counts(self, split: str) -> tuple[int, ...] | None:
        """Return how many samples of each class, absent classes included."""
        if self.class_names is None:
            return None
        counts = np.bincount(
            self.splits[split].targets.astype(int), minlength=len(self.class_names)
        )
        return tuple(counts.tolist())


def _check_shapes(dataset: Dataset) -> None:
    shapes = {name: samples.images.shape[1:] for name, samples in dataset.splits.items()}
    if len(set(shapes.values())) > 1:
        listed = (f"{name}: {' x '.join(map(str, shape))}" for name, shape in shapes.items())
        raise UserError(
            "the splits differ in the shape of their images",
            where=f"dataset: {', '.join(listed)}",
            allowed="one height, width and number of channels",
        )


def _check_texts(kind: str, names: Sequence[str]) -> None:
    wrong = [name for name in names if UNWRITABLE.search(name)]
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UserError(
            f"a {kind}'s name cannot be written into records: {wrong[0]!a}{more}",
            where="dataset",
            allowed="text without control characters, in UTF-8",
            fix="rename the file or folder, or strip the labels (line ends of Windows?)",
        )


class DatasetSource(Protocol):
    """The object that a dataset's `_target_` makes: it reads when asked for."""

    def read(self, on_progress: ProgressCallback) -> Dataset: ...


# what no record can hold, or not as it is: control characters, and bytes that are no UTF-8
UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def check_dataset(dataset: Dataset, *, evaluate_only: bool = False) -> None:
    """Refuse what nothing can be learnt from, and what could not be written down."""
    _check_shapes(dataset)
    _check_texts("class", dataset.class_names or ())
    for samples in dataset.splits.values():
        _check_texts("sample", samples.names)
    for name, samples in dataset.splits.items():
        if len(samples) == 0:
            raise UserError(f"the split '{name}' is empty", where="dataset")
    if "train" not in dataset.splits and not evaluate_only:
        raise UserError(
            "there are no training samples",
            where=f"dataset: splits {', '.join(dataset.splits)}",
            fix="dataset.evaluate_only=false",
        )
    if dataset.class_names is not None and not evaluate_only:
        counts = dataset.class_counts("train") or ()
        present = sum(count > 0 for count in counts)
        if present < 2:
            raise UserError(
                f"the training split holds {present} class, and a classifier needs two",
                where="dataset",
                allowed="two classes or more with training samples",
            )
