"""What every dataset reads into: samples in memory as uint8, without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Normalisation = Literal["none", "dataset", "sample"]


@dataclass(frozen=True)
class Samples:
    """One split: pictures N x H x W x C in uint8, and a class index or some numbers for each."""

    images: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """Tells data apart: two runs with the same one saw the same bytes."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(self.images.tobytes())
        digest.update(self.targets.tobytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Cutting:
    """A split whose samples are the cells of one picture: for pages that show them in place."""

    picture: npt.NDArray[np.uint8]
    rows: int
    columns: int
    cells: Sequence[int]  # of each sample: row * columns + column


@dataclass(frozen=True)
class Dataset:
    """Splits (train, and val or test where there are) with one kind of target."""

    splits: Mapping[str, Samples]
    normalise: Normalisation
    class_names: Sequence[str] | None = None  # for classification
    target_names: Sequence[str] | None = None  # for regression
    cuttings: Mapping[str, Cutting] = field(default_factory=dict)

    def class_counts(self, split: str) -> tuple[int, ...] | None:
        """How many samples of each class, absent classes included."""
        import numpy as np

        if self.class_names is None:
            return None
        counts = np.bincount(
            self.splits[split].targets.astype(int), minlength=len(self.class_names)
        )
        return tuple(counts.tolist())


class DatasetSource(Protocol):
    """What a dataset's `_target_` makes: it reads when asked, so that a wrong one costs nothing."""

    def read(self) -> Dataset: ...


def check_dataset(dataset: Dataset) -> None:
    """Refuse what nothing can be learnt from."""
    for name, samples in dataset.splits.items():
        if len(samples) == 0:
            raise UserError(f"the split '{name}' is empty", where="dataset")
    if dataset.class_names is not None:
        counts = dataset.class_counts("train") or ()
        present = sum(count > 0 for count in counts)
        if present < 2:
            raise UserError(
                f"the training split holds {present} class, and a classifier needs two",
                where="dataset",
                allowed="two classes or more with training samples",
            )
