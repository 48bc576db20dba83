"""Image files that a table lists with their labels, and with their splits where it has them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from expkit.data.store.decode_options import Decoded
from expkit.data.store.folder_tree import list_some
from expkit.data.store.label_table import LabelRow, LabelTable, read_label_table, refuse_rows
from expkit.data.store.labelled_files import FileReader, LabelledFile
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset
from expkit.data.store.splitting import tell_made
from expkit.errors import UserError, nearest_of


@dataclass(frozen=True, kw_only=True)
class Table(Decoded):
    """A CSV, TSV or JSON lines with the columns path, label and, where it has one, split."""

    table: str
    root: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    on_error: Literal["error", "skip"] = "error"
    allow_missing: Sequence[str] = ()

    def read(self, on_progress: ProgressCallback) -> Dataset:
        file, table = self._read_table()
        rows, remarks = _without_repeats(file, table)
        self._check_files(file, rows)
        names = _order_classes({row.label for row in rows})
        self._check_classes(file, rows, names, has_splits=table.has_splits)
        reader = FileReader(
            self._root(file), f"dataset.table={file}", self.decoding, self.cache, self.on_error
        )
        given, left_out = reader.read(self._files(file, rows, names), on_progress)
        splits = self.divide(given, names)
        return Dataset(
            splits,
            self.normalize,
            class_names=names,
            remarks=[*remarks, *left_out, *tell_made(given, splits)],
            decoding=self.decoding,
        )

    def list_files(self) -> Sequence[LabelledFile]:
        """Every file that the table lists, with its label."""
        file, table = self._read_table()
        rows, _ = _without_repeats(file, table)
        return self._files(file, rows, _order_classes({row.label for row in rows}))

    def _read_table(self) -> tuple[Path, LabelTable]:
        file = Path(self.table).expanduser()
        columns = {
            "path": self.path_column,
            "label": self.label_column,
            "split": self.split_column,
        }
        return file, read_label_table(file, columns)

    def _root(self, file: Path) -> Path:
        return file.parent if self.root is None else Path(self.root).expanduser()

    def _files(
        self, file: Path, rows: Sequence[LabelRow], names: Sequence[str]
    ) -> list[LabelledFile]:
        """The files by split, so that those of a resident split are gathered without a copy."""
        root, place = self._root(file), {name: number for number, name in enumerate(names)}
        return [
            LabelledFile(
                path=root / row.path,
                split=split,
                target=place[row.label],
                name=row.path,
                shown=f"row {row.number}: {row.path}",
            )
            for split in ("train", "val", "test")
            for row in rows
            if (row.split or "train") == split
        ]

    def _check_files(self, file: Path, rows: Sequence[LabelRow]) -> None:
        """Refuse files that are not there; where unreadable ones may lack, so may these."""
        root = self._root(file)
        missing = [row for row in rows if not os.path.lexists(root / row.path)]
        if missing and (self.on_error == "error" or len(missing) == len(rows)):
            raise refuse_rows(
                file,
                f"{len(missing)} of the table's {len(rows)} files are not there",
                [(row, row.path) for row in missing],
                allowed=f"absolute paths, or such as lie in {root}",
                fix="dataset.root=FOLDER, in which the paths lie"
                if len(missing) == len(rows)
                else "mend the rows, or leave them out: dataset.on_error=skip",
            )

    def _check_classes(
        self, file: Path, rows: Sequence[LabelRow], names: Sequence[str], *, has_splits: bool
    ) -> None:
        """Refuse classes that a split lacks, and those too few to be split."""
        for name in self.allow_missing:
            if name not in names:
                raise UserError(
                    f"there is no class '{name}'",
                    where=f"dataset.allow_missing=[{', '.join(self.allow_missing)}]",
                    nearest=nearest_of(name, names),
                    allowed=list_some(names, ", "),
                )
        if self.evaluate_only:
            return
        by_class: dict[str, list[LabelRow]] = defaultdict(list)
        for row in rows:
            by_class[row.label].append(row)
        if not has_splits:
            self._check_class_sizes(file, by_class)
            return
        splits = {row.split for row in rows}
        if "train" not in splits:
            raise refuse_rows(
                file, "no row is of the split train", [(row, row.split) for row in rows[:1]]
            )
        wanted = [name for name in names if name not in self.allow_missing]
        for split in (each for each in ("train", "val", "test") if each in splits):
            present = {row.label for row in rows if row.split == split}
            lacking = [name for name in wanted if name not in present]
            if lacking:
                raise refuse_rows(
                    file,
                    f"the splits differ in their classes: {split} lacks {list_some(lacking, ', ')}",
                    [
                        (row, f"{name} ({row.split})")
                        for name in lacking
                        for row in by_class[name][:1]
                    ],
                    nearest=nearest_of(lacking[0], [each for each in names if each != lacking[0]]),
                    allowed="rows of every class in every split",
                    fix=f"'dataset.allow_missing=[{','.join(lacking)}]' if they are meant to be "
                    "missing",
                )

    def _check_class_sizes(self, file: Path, by_class: Mapping[str, Sequence[LabelRow]]) -> None:
        """Refuse classes of fewer images than there are splits to be made."""
        if self.fold is not None:
            return  # who says how many a fold needs
        num_splits = 1 + (self.val_fraction > 0) + (self.test_fraction > 0)
        few = {name: rows for name, rows in by_class.items() if len(rows) < num_splits}
        if few:
            count = min(map(len, few.values()))
            raise refuse_rows(
                file,
                f"{len(few)} of {len(by_class)} classes have too few images for {num_splits} "
                f"splits: the fewest, {count}",
                [(rows[0], f"{name} ({len(rows)})") for name, rows in few.items()],
                allowed=f"{num_splits} images or more of each class, or a column split",
                fix="mend the label, if another is meant, or add images",
            )


def _without_repeats(file: Path, table: LabelTable) -> tuple[list[LabelRow], list[str]]:
    """Each file once; those that stand in two splits, or with two labels, are refused."""
    first: dict[str, LabelRow] = {}
    rows, num_repeats = [], 0
    differing: dict[str, list[tuple[LabelRow, str]]] = {"split": [], "label": []}
    for row in table.rows:
        known = first.setdefault(os.path.normpath(row.path), row)
        if known is row:
            rows.append(row)
            continue
        num_repeats += 1
        for role, found in differing.items():
            ours, theirs = getattr(row, role), getattr(known, role)
            if ours != theirs:
                found.append((row, f"{row.path}: {ours}, and {theirs} in row {known.number}"))
    for role, found in differing.items():
        if found:
            raise refuse_rows(
                file,
                f"{len(found)} rows name a file that another row has with another {role}",
                found,
                allowed=f"one {role} of each file",
            )
    remarks = [f"{num_repeats} rows left out that repeat another"] if num_repeats else []
    if table.num_aside:
        remarks.append(f"{table.num_aside} rows left out that the table sets aside")
    return rows, remarks


def _order_classes(labels: Collection[str]) -> list[str]:
    """Order numbers as numbers, and all else as text."""
    if all(label.isascii() and label.isdecimal() for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)
