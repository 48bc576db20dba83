"""Cells of a CSV: text that nothing obeys, from which the text itself can be had again.

What a spreadsheet would take for a formula gets a quote before it; what a terminal would obey is
written out, as it is on the screen.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterable

from expkit.sanitize import clean

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")  # also one that begins with quotes, to be told apart
# a character that was written out, or a backslash before what would be taken for one
WRITTEN_OUT = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
BYTES = re.compile("([\udc80-\udcff]+)")  # of a file's name that is no UTF-8: written as they were


def safe_cell(cell: str) -> str:
    """Return a text as a cell that runs nothing; `plain_cell` gives it back."""
    cell = _written_out(cell)
    if FORMULA.match(cell) and not _is_number(cell):
        return f"'{cell}"
    return cell


def safe_row(cells: Iterable[object]) -> list[object]:
    """Return a row whose texts are safe cells; numbers stay numbers."""
    return [safe_cell(cell) if isinstance(cell, str) else cell for cell in cells]


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as the text of a CSV whose texts are safe cells."""
    return csv_of_safe_cells(map(safe_row, rows))


def csv_of_safe_cells(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as a CSV, where a column of few names had each of them made safe but once."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def plain_cell(cell: str) -> str:
    """Return the text that `safe_cell` made a cell of."""
    if cell.startswith("'") and FORMULA.match(cell):
        cell = cell[1:]
    return WRITTEN_OUT.sub(_character, cell)


def _written_out(text: str) -> str:
    r"""Return a text with `\x1b` for an escape, and `\\x1b` for what only looks like one."""
    cleaned = _clean(text)
    if cleaned == text and not WRITTEN_OUT.search(text):
        return text
    return _clean(text.replace("\\", "\\\\"))


def _clean(text: str) -> str:
    pieces = BYTES.split(text.replace("\r", "\\x0d"))  # else `clean` writes `\r`, as paths have it
    return "".join(piece if BYTES.match(piece) else clean(piece) for piece in pieces)


def _character(match: re.Match[str]) -> str:
    return "\\" if match[1] == "\\" else chr(int(match[1][1:], 16))


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        float(text)
        return True
    return False
