"""Image files with what each is: decoded by way of the cache, and gathered into splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from expkit.data.store.cache import FORMAT, Cache, Store
from expkit.data.store.decoding import Decoding, decode_all
from expkit.data.store.folder_tree import list_some
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Samples
from expkit.errors import UserError


@dataclass(frozen=True)
class LabelledFile:
    """An image file, the split and the class that it belongs to, and its name in records."""

    path: Path
    split: str
    target: int
    name: str
    shown: str  # where it stands, as lists of files name it


@runtime_checkable
class FileSource(Protocol):
    """A dataset whose samples are image files."""

    def list_files(self) -> Sequence[LabelledFile]:
        """Every file that may be a sample, whatever split it is drawn into."""


@dataclass(frozen=True)
class FileReader:
    """The options by which files are read; `where` names them, and `key` the part of a config."""

    root: Path
    where: str
    decoding: Decoding
    cache: Cache
    on_error: Literal["error", "skip"]
    key: str = "dataset"

    def read(
        self, files: Sequence[LabelledFile], on_progress: ProgressCallback
    ) -> tuple[dict[str, Samples], list[str]]:
        """The samples of each split, in the order of the files, and remarks on those left out."""
        paths = [each.path for each in files]
        store = self.cache.open(
            key_of(self.root, paths, self.decoding),
            len(paths),
            lambda: decode_all(paths, self.decoding, on_progress),
        )
        if store.unreadable and self.on_error == "error":
            raise UserError(
                f"{len(store.unreadable)} of {len(files)} images cannot be read",
                where=f"{self.where}\n" + _describe_unreadable(files, store.unreadable, "\n"),
                fix=f"mend or remove them, or leave them out: {self.key}.on_error=skip",
            )
        remarks = list(store.remarks)
        if store.unreadable:
            listed = _describe_unreadable(files, store.unreadable, "; ")
            remarks.append(f"{len(store.unreadable)} unreadable images left out: {listed}")
        return collect_samples(files, store), remarks


def collect_samples(files: Sequence[LabelledFile], store: Store) -> dict[str, Samples]:
    """Each split's readable files as rows of the store, which has them in the files' order."""
    readable = [each for place, each in enumerate(files) if place not in store.unreadable]
    by_split: dict[str, list[int]] = {each.split: [] for each in files}
    for row, file in enumerate(readable):
        by_split[file.split].append(row)
    splits = {}
    for split, chosen in by_split.items():
        rows = np.array(chosen, np.int64)
        targets = np.array([readable[row].target for row in chosen], np.int64)
        names = [readable[row].name for row in chosen]
        splits[split] = Samples(store.images, targets, names, rows, store.digests[rows])
    return splits


def key_of(root: Path, files: Sequence[Path], decoding: Decoding) -> str:
    """Changes with any file's name, size or time, and with all that decides its pixels."""
    digest = hashlib.sha256(json.dumps([FORMAT, str(root.resolve()), decoding.to_json()]).encode())
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        try:
            metadata = path.stat()
            line = f"{name}\0{metadata.st_size}\0{metadata.st_mtime_ns}\n"
        except OSError:  # a link to nowhere, which decoding tells of
            line = f"{name}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _describe_unreadable(
    files: Sequence[LabelledFile], unreadable: Mapping[int, str], separator: str
) -> str:
    lines = [f"{files[place].shown}: {why}" for place, why in unreadable.items()]
    return list_some(lines, separator)
