"""A folder of images without labels, which may hold no image that something else is judged on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from expkit.data.audit.image_stats import measure_images
from expkit.data.audit.leaks import digests_of
from expkit.data.audit.near_duplicates import MOST_HELD_OUT, find_near_copies
from expkit.data.store.cache import Cache
from expkit.data.store.decoding import Decoding
from expkit.data.store.folder_tree import list_images, list_some
from expkit.data.store.labelled_files import FileReader, LabelledFile
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Samples
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Unlabelled:
    """Images of a folder, and what the user should know of them."""

    samples: Samples  # whose targets mean nothing
    remarks: Sequence[str]


@dataclass(frozen=True)
class UnlabelledFolder:
    """The images of a folder of any depth, decoded as those of a dataset."""

    root: Path
    decoding: Decoding
    cache: Cache
    on_error: Literal["error", "skip"]
    key: str  # where the config names it

    def read(self, known: Mapping[str, Samples], on_progress: ProgressCallback) -> Unlabelled:
        """All images but copies of `known`: of its train equal ones, of its other splits all."""
        files, num_others = self._list()
        names = [path.relative_to(self.root).as_posix() for path in files]
        labelled = [LabelledFile(p, "", 0, n, n) for p, n in zip(files, names, strict=True)]
        where = f"{self.key}.images={self.root}"
        reader = FileReader(self.root, where, self.decoding, self.cache, self.on_error, self.key)
        splits, remarks = reader.read(labelled, on_progress)
        samples = splits[""]
        if num_others:
            remarks.append(f"{num_others} files left out, by their names no images")
        left_out = find_copies(samples, known)
        remarks += tell_copies(samples, left_out)
        is_left = np.ones(len(samples), bool)
        is_left[list(left_out)] = False
        if not is_left.any():
            raise UserError(
                "no image of the folder is left to train on",
                where="\n".join([f"{self.key}.images={self.root}", *remarks]),
                fix=f"{self.key}.images=null",
            )
        head = f"{int(is_left.sum()):,} images without labels from {self.root}"
        return Unlabelled(samples.select(np.flatnonzero(is_left)).settle(), [head, *remarks])

    def _list(self) -> tuple[list[Path], int]:
        where = f"{self.key}.images={self.root}"
        if not self.root.is_dir():
            kind = "is a file" if self.root.exists() else "is not there"
            raise UserError(f"the folder '{self.root}' {kind}", where=where)
        files, num_others = list_images(self.root)
        if not files:
            raise UserError(
                f"'{self.root}' holds no images, in no folder of it",
                where=where,
                allowed="files that Pillow reads, in folders of any depth",
            )
        return files, num_others


@dataclass(frozen=True)
class Copy:
    """The sample that an image is a copy of."""

    split: str
    name: str
    is_equal: bool


def find_copies(samples: Samples, known: Mapping[str, Samples]) -> dict[int, Copy]:
    """Find images, by their places, that are held-out samples, nearly too, or training samples.

    Copies within train cost nothing but time; a near copy of a held-out sample is a leak.
    """
    found: dict[int, Copy] = {}
    digests = digests_of(samples)
    for split, each in known.items():
        theirs = digests_of(each)
        values, first = np.unique(theirs, return_index=True)
        for place in np.flatnonzero(np.isin(digests, values)).tolist():
            name = each.names[int(first[np.searchsorted(values, digests[place])])]
            if place not in found or split != "train":
                found[place] = Copy(split, name, is_equal=True)
    for split, each in known.items():
        if split != "train":
            for place, name in _near_copies(samples, each):
                found.setdefault(place, Copy(split, name, is_equal=False))
    return found


def _near_copies(samples: Samples, held_out: Samples) -> Iterator[tuple[int, str]]:
    """The images that are nearly a held-out sample: so many at once as are compared at most."""
    stats = measure_images(held_out, len(held_out))
    for start in range(0, len(samples), MOST_HELD_OUT):
        places = np.arange(start, min(start + MOST_HELD_OUT, len(samples)))
        part = samples.select(places)
        seen = {"train": stats, "images": measure_images(part, len(part))}
        by_name = {name: int(place) for name, place in zip(part.names, places, strict=True)}
        for pair in find_near_copies(seen):
            yield by_name[pair.name], pair.other_name


def tell_copies(samples: Samples, copies: Mapping[int, Copy]) -> Iterator[str]:
    """Say which images are left out, held-out ones first."""
    held_out = {place: each for place, each in copies.items() if each.split != "train"}
    if held_out:
        pairs = [f"{samples.names[i]} = {c.split}: {c.name}" for i, c in held_out.items()]
        num_equal = sum(each.is_equal for each in held_out.values())
        yield (
            f"{len(held_out)} images left out, copies of held-out samples ({num_equal} equal, "
            f"{len(held_out) - num_equal} nearly): {list_some(pairs, '; ')}"
        )
    if len(copies) > len(held_out):
        yield f"{len(copies) - len(held_out)} images left out that are training samples already"
