"""A table of cells: as lines of a terminal, as Markdown, and as a CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from expkit.records.csv_cells import csv_text
from expkit.reports.markdown import plain

GAP = "  "  # between two columns of a terminal
PIPE = r"\|"  # in a cell of Markdown


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def lines(self) -> list[str]:
        """Return lines of a terminal, whose columns stand under each other."""
        return aligned((self.header, *self.rows))

    def blocks(self, width: int) -> list[str]:
        """Return lines for all columns: the first in each block, with those that fit beside it."""
        lines: list[str] = []
        left = self
        while len(left.header) > 1:
            shown = left.fitting(width)
            lines += shown.lines()
            left = left.columns([0, *range(len(shown.header), len(left.header))])
        return lines

    def fitting(self, width: int) -> Table:
        """Return the first columns, two at the least, that a screen has room for."""
        ends = accumulate(len(GAP) + each for each in _widths((self.header, *self.rows)))
        count = max(2, sum(end <= width for end in ends))
        return self.columns(range(len(self.header))[:count])

    def columns(self, places: Sequence[int]) -> Table:
        """Return some of the columns."""
        header, *rows = ([row[place] for place in places] for row in (self.header, *self.rows))
        return Table(header, rows)

    def turned(self) -> Table:
        """Return the table with a row for each column."""
        header, *rows = zip(self.header, *self.rows, strict=True)
        return Table(header, rows)

    def markdown(self) -> str:
        """Return a table of a page; a pipe or a line break in a cell would end the cell early."""

        def line(cells: Sequence[str]) -> str:
            return f"| {' | '.join(plain(cell).replace('|', PIPE) for cell in cells)} |"

        return "\n".join(map(line, (self.header, ["---"] * len(self.header), *self.rows)))

    def csv(self) -> str:
        """Return the text of a CSV that no spreadsheet and no terminal obeys."""
        return csv_text((self.header, *self.rows))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of a terminal, also for cells that have no header."""
    widths = _widths(rows)
    return [
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
