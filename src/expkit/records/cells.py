"""Cells of a CSV: text that a spreadsheet would take for a formula gets a quote before it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")  # also one that begins with quotes, to be told apart


def safe_cell(cell: str) -> str:
    """Return a text as a cell that runs nothing; `plain_cell` gives it back."""
    if FORMULA.match(cell) and not _is_number(cell):
        return f"'{cell}"
    return cell


def safe_row(cells: Iterable[object]) -> list[object]:
    """Return a row whose texts are safe cells; numbers stay numbers."""
    return [safe_cell(cell) if isinstance(cell, str) else cell for cell in cells]


def plain_cell(cell: str) -> str:
    """Return the text that `safe_cell` made a cell of."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _is_number(text: str) -> bool:
    with contextlib.suppress(ValueError):
        float(text)
        return True
    return False
