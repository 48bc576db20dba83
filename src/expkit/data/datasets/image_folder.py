"""A folder of image files: decoded once, kept in a cache, split by folders or by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from expkit.data.store.decode_options import Decoded
from expkit.data.store.folder_tree import ImageTree, read_tree
from expkit.data.store.labelled_files import FileReader, LabelledFile
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset
from expkit.data.store.splitting import tell_made


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Decoded):
    """root/{train,val,test}/class/image, or root/class/image with splits made here."""

    root: str
    on_error: Literal["error", "skip"] = "error"
    allow_missing: Sequence[str] = ()

    def read(self, on_progress: ProgressCallback) -> Dataset:
        root, tree = self._find()
        reader = FileReader(root, f"dataset.root={root}", self.decoding, self.cache, self.on_error)
        given, remarks = reader.read(list(_files_of(tree, root)), on_progress)
        splits = self.divide(given, tree.class_names)
        return Dataset(
            splits,
            self.normalize,
            class_names=tree.class_names,
            remarks=[*tree.remarks, *remarks, *tell_made(given, splits)],
            decoding=self.decoding,
        )

    def list_files(self) -> Sequence[LabelledFile]:
        """Every image with its class."""
        root, tree = self._find()
        return list(_files_of(tree, root))

    def _find(self) -> tuple[Path, ImageTree]:
        root = Path(self.root).expanduser()
        return root, read_tree(root, self.allow_missing, evaluate_only=self.evaluate_only)


def _files_of(tree: ImageTree, root: Path) -> Iterator[LabelledFile]:
    for split, classes in tree.splits.items():
        for class_name, paths in classes.items():
            target = tree.class_names.index(class_name)
            for path in paths:
                name = f"{class_name}/{path.name}"
                yield LabelledFile(path, split, target, name, str(path.relative_to(root)))
