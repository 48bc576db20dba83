"""Where a user's images lie: in folders of classes, or in the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.datasets.table import Table
from expkit.data.store.folder_tree import LAYOUT
from expkit.data.store.label_table import FORMATS, JSON_SUFFIXES
from expkit.data.store.labelled_files import LabelledFile
from expkit.errors import UserError

TABLES = (".csv", ".tsv", *JSON_SUFFIXES)


@dataclass(frozen=True)
class ImageSource:
    """A choice of `dataset`, the key that says where its images are, and that place."""

    choice: str  # image_folder or table
    key: str  # root or table
    place: Path

    def dataset(self, settings: Mapping[str, Any]) -> ImageFolder | Table:
        """The dataset with these settings, as a run has it."""
        if self.choice == "table":
            return Table(table=str(self.place), **settings)
        return ImageFolder(root=str(self.place), **settings)

    def list_files(self) -> Sequence[LabelledFile]:
        """Every image with its class; refused where that is not what lies there."""
        return self.dataset({}).list_files()


def find_source(given: Path) -> ImageSource:
    """The images of a folder or a table; a folder's one table is taken where it has no classes."""
    place = given.expanduser()
    if place.suffix.lower() in TABLES and not place.is_dir():
        return ImageSource("table", "table", place)
    if place.is_file():
        raise UserError(
            f"'{given}' is a file, and no table",
            where=f"--from {given}",
            allowed=f"a folder: {LAYOUT}\nor a table: {FORMATS}",
            fix=f"expkit init --from {given.parent}",
        )
    source = ImageSource("image_folder", "root", place)
    try:
        source.list_files()
    except UserError:
        tables = _tables_in(place)
        if len(tables) > 1:
            raise _which_table(given, tables) from None
        if not tables:
            raise
        return ImageSource("table", "table", tables[0])
    return source


def _tables_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in TABLES)


def _which_table(given: Path, tables: Sequence[Path]) -> UserError:
    names = [each.name for each in tables]
    return UserError(
        f"'{given}' has no folders of classes, and {len(tables)} tables",
        where=f"--from {given}: {', '.join(names[:5])}",
        allowed="one table, with a column of splits where the images are split",
        fix=f"expkit init --from {tables[0]}",
    )
