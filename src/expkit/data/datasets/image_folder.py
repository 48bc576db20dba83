"""A folder of image files: decoded once, kept in a cache, split by folders or by class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from expkit.data.store.cache import FORMAT, Store
from expkit.data.store.decode_options import Decoded
from expkit.data.store.decoding import Decoding, decode_all
from expkit.data.store.folder_tree import ImageTree, list_some, read_tree
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset, Samples
from expkit.data.store.splitting import tell_made
from expkit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Decoded):
    """root/{train,val,test}/class/image, or root/class/image with splits made here."""

    root: str
    on_error: Literal["error", "skip"] = "error"
    allow_missing: Sequence[str] = ()

    def read(self, on_progress: ProgressCallback) -> Dataset:
        root = Path(self.root).expanduser()
        tree = read_tree(root, self.allow_missing, evaluate_only=self.evaluate_only)
        files = [
            path for classes in tree.splits.values() for each in classes.values() for path in each
        ]
        store = self.cache.open(
            key_of(root, files, self.decoding),
            len(files),
            lambda: decode_all(files, self.decoding, on_progress),
        )
        if store.unreadable and self.on_error == "error":
            raise _unreadable(root, files, store.unreadable)
        given = collect_samples(tree, store)
        splits = self.divide(given, tree.class_names)
        return Dataset(
            splits,
            self.normalize,
            class_names=tree.class_names,
            remarks=[
                *tree.remarks,
                *store.remarks,
                *_remarks(root, files, store.unreadable),
                *tell_made(given, splits),
            ],
            decoding=self.decoding,
        )


def collect_samples(tree: ImageTree, store: Store) -> dict[str, Samples]:
    """Each split's readable files as rows of the store, which has them in the tree's order."""
    splits = {}
    place = row = 0
    for split, classes in tree.splits.items():
        names, targets, first_row = [], [], row
        for class_name, paths in classes.items():
            target = tree.class_names.index(class_name)
            for path in paths:
                if place not in store.unreadable:
                    names.append(f"{class_name}/{path.name}")
                    targets.append(target)
                    row += 1
                place += 1
        rows = np.arange(first_row, row)
        splits[split] = Samples(
            store.images, np.array(targets, np.int64), names, rows, store.digests[rows]
        )
    return splits


def key_of(root: Path, files: Sequence[Path], decoding: Decoding) -> str:
    """Changes with any file's name, size or time, and with all that decides its pixels."""
    digest = hashlib.sha256(json.dumps([FORMAT, str(root.resolve()), decoding.to_json()]).encode())
    for path in files:
        try:
            metadata = path.stat()
            line = f"{path.relative_to(root)}\0{metadata.st_size}\0{metadata.st_mtime_ns}\n"
        except OSError:  # a link to nowhere, which decoding tells of
            line = f"{path.relative_to(root)}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def tell_unreadable(
    root: Path, files: Sequence[Path], unreadable: Mapping[int, str], separator: str
) -> str:
    """The unreadable files, the first few by name, each with the reason."""
    lines = [f"{files[place].relative_to(root)}: {why}" for place, why in unreadable.items()]
    return list_some(lines, separator)


def _unreadable(root: Path, files: Sequence[Path], unreadable: Mapping[int, str]) -> UserError:
    return UserError(
        f"{len(unreadable)} of {len(files)} images cannot be read",
        where=f"dataset.root={root}\n" + tell_unreadable(root, files, unreadable, "\n"),
        fix="mend or remove them, or leave them out: dataset.on_error=skip",
    )


def _remarks(root: Path, files: Sequence[Path], unreadable: Mapping[int, str]) -> list[str]:
    if not unreadable:
        return []
    listed = tell_unreadable(root, files, unreadable, "; ")
    return [f"{len(unreadable)} unreadable images left out: {listed}"]
