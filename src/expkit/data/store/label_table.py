"""A table of image files as people write it: CSV, TSV or JSON lines with paths and labels."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from expkit.data.store.folder_tree import SPLITS as FOLDER_SPLITS
from expkit.data.store.folder_tree import list_some
from expkit.errors import UserError, nearest_of

# the names that others give to the columns, the likeliest first
COLUMNS: Mapping[str, Sequence[str]] = {
    "path": (
        *("path", "filepath", "file_path", "image_path", "img_path", "filename", "file_name"),
        *("file", "image", "img", "image_file", "image_name"),
    ),
    "label": (
        *("label", "class", "class_name", "classname", "label_name", "category", "target"),
        *("labels", "y"),
    ),
    "split": ("split", "set", "subset", "partition", "data_split", "dataset"),
}
SPLITS = {**FOLDER_SPLITS, "training": "train", "dev": "val", "testing": "test"}
SET_ASIDE = ("aside", "unused", "ignore")  # in the column of splits: rows that are left out
FORMATS = "CSV (comma, semicolon or tab) or TSV with a row of names first, or JSON lines (.jsonl)"
JSON_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class LabelRow:
    """One image as the table has it; `split` is empty where the table has no splits."""

    number: int  # as an editor counts lines
    path: str
    label: str
    split: str = ""


@dataclass(frozen=True)
class LabelTable:
    """The rows to be read, and how many were set aside."""

    rows: Sequence[LabelRow]
    has_splits: bool
    num_aside: int = 0


def read_label_table(table: Path, columns: Mapping[str, str | None]) -> LabelTable:
    """Read a table; `columns` names those of path, label and split where they are not found."""
    cells = _read_json_lines(table) if table.suffix in JSON_SUFFIXES else _read_csv(table)
    if not cells:
        raise _refusal(table, f"'{table}' has no rows", allowed=FORMATS)
    found = _find_columns(table, list(cells[0][1]), columns)
    rows = [
        LabelRow(
            number,
            row.get(found["path"], "").strip(),
            row.get(found["label"], "").strip(),
            row.get(found["split"], "").strip() if "split" in found else "",
        )
        for number, row in cells
    ]
    has_splits = any(row.split for row in rows)
    kept = [row for row in rows if row.split.lower() not in SET_ASIDE]
    _refuse_empty(table, kept, has_splits=has_splits)
    return LabelTable(
        [_with_split(row) for row in kept] if has_splits else kept,
        has_splits,
        len(rows) - len(kept),
    )


def _with_split(row: LabelRow) -> LabelRow:
    return LabelRow(row.number, row.path, row.label, SPLITS[row.split.lower()])


def _read_csv(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row's cells by the names of the first row, with the line on which it ends."""
    text = _read_text(table)
    first_line = text.partition("\n")[0]
    delimiter = "\t" if table.suffix == ".tsv" else max(",;\t", key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    wrong: list[str] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                repeated = sorted({name for name in header if name and header.count(name) > 1})
                if repeated:
                    raise _refusal(table, f"the table has more than one column '{repeated[0]}'")
            elif len(cells) != len(header):
                wrong.append(f"row {reader.line_num}: {len(cells)} cells, not {len(header)}")
            else:
                rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        wrong.append(f"row {reader.line_num}: {error}")
    if wrong:
        raise _unreadable_rows(table, wrong, "put cells that hold the separator into double quotes")
    return rows


def _read_json_lines(table: Path) -> list[tuple[int, dict[str, str]]]:
    rows, wrong = [], []
    for number, line in enumerate(_read_text(table).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("no mapping")
        except (ValueError, RecursionError) as error:
            wrong.append(f"row {number}: {error}")
            continue
        rows.append((number, {str(k): "" if v is None else str(v) for k, v in record.items()}))
    if wrong:
        raise _unreadable_rows(
            table, wrong, 'write one mapping a line: {"path": ..., "label": ...}'
        )
    return rows


def _read_text(table: Path) -> str:
    if not table.is_file():
        kind = "is a folder" if table.is_dir() else "is not there"
        raise _refusal(
            table,
            f"the table '{table}' {kind}",
            allowed=FORMATS,
            fix=f"dataset=image_folder dataset.root={table}"
            if table.is_dir()
            else "dataset.table=FILE",
        )
    try:
        return table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(
            table, f"'{table}' is no text in UTF-8: byte {error.start} is none", allowed=FORMATS
        ) from error


def _find_columns(
    table: Path, header: Sequence[str], given: Mapping[str, str | None]
) -> dict[str, str]:
    """The names of the columns of path, label and, where there is one, split."""
    by_plain = {re.sub(r"[\s-]+", "_", name.lower()): name for name in reversed(header)}
    found: dict[str, str] = {}
    for role, known in COLUMNS.items():
        name = given.get(role)
        if name is not None and name not in header:
            raise _refusal(
                table,
                f"the table has no column '{name}'",
                key=f"dataset.{role}_column={name}",
                nearest=nearest_of(name, header),
                allowed=list_some(header, ", "),
            )
        name = name or next((by_plain[each] for each in known if each in by_plain), None)
        if name is not None:
            found[role] = name
        elif role != "split":
            raise _refusal(
                table,
                f"none of the table's columns is known to hold each image's {role}",
                allowed=f"one of {', '.join(known)}; here are {list_some(header, ', ')}",
                fix=f"dataset.{role}_column=NAME",
            )
    return found


def _refuse_empty(table: Path, rows: Sequence[LabelRow], *, has_splits: bool) -> None:
    """Refuse rows that lack what they must say, and splits of unknown names."""
    for role in ("path", "label"):
        empty = [row for row in rows if not getattr(row, role)]
        if empty:
            raise refuse_rows(
                table,
                f"{len(empty)} of {len(rows)} rows have no {role}",
                [(row, row.path or row.label) for row in empty],
                fix=f"fill them in, or leave them out: split {SET_ASIDE[0]}",
            )
    if not has_splits:
        return
    unknown = [row for row in rows if row.split.lower() not in SPLITS]
    if unknown:
        raise refuse_rows(
            table,
            f"{len(unknown)} of {len(rows)} rows are of no known split",
            [(row, f"'{row.split}'" if row.split else "empty") for row in unknown],
            nearest=nearest_of(unknown[0].split.lower(), SPLITS),
            allowed=f"{', '.join(SPLITS)}; {' or '.join(SET_ASIDE)}: left out",
        )


def refuse_rows(
    table: Path,
    what: str,
    rows: Sequence[tuple[LabelRow, str]],
    *,
    nearest: str | None = None,
    allowed: str | None = None,
    fix: str | None = None,
) -> UserError:
    """Return the refusal of some rows, each with its number and what is wrong with it."""
    listed = list_some([f"row {row.number}: {text}" for row, text in rows], "\n")
    return _refusal(table, what, lines=listed, nearest=nearest, allowed=allowed, fix=fix)


def _unreadable_rows(table: Path, wrong: Sequence[str], fix: str) -> UserError:
    return _refusal(
        table,
        f"{len(wrong)} rows of the table cannot be read",
        lines=list_some(wrong, "\n"),
        fix=fix,
    )


def _refusal(
    table: Path,
    what: str,
    *,
    key: str = "",
    lines: str = "",
    nearest: str | None = None,
    allowed: str | None = None,
    fix: str | None = None,
) -> UserError:
    where = [f"dataset.table={table}", *([key] if key else []), *([lines] if lines else [])]
    return UserError(what, where="\n".join(where), nearest=nearest, allowed=allowed, fix=fix)
