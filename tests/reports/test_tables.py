"""One table on a terminal, on a page and as a CSV."""

from __future__ import annotations

import csv

from expkit.reports.markdown import code
from expkit.reports.tables import Table

TABLE = Table(("", "A", "B"), [("lr", "0.1", "0.01"), ("model", "net", "resnet18")])


def test_columns_stand_under_each_other() -> None:
    """Two spaces between them, and none behind a line."""
    assert TABLE.lines() == ["       A    B", "lr     0.1  0.01", "model  net  resnet18"]


def test_columns_that_do_not_fit_follow_below() -> None:
    """The first column names the rows of each block; 12 columns are those of two, 11 too few."""
    assert TABLE.fitting(12).header == ["", "A"]
    assert TABLE.fitting(22).header == ["", "A", "B"]
    assert TABLE.fitting(3).header == ["", "A"]  # the least that is a table
    first, second = TABLE.blocks(12)[:3], TABLE.blocks(12)[3:]
    assert first == ["       A", "lr     0.1", "model  net"]
    assert second == ["       B", "lr     0.01", "model  resnet18"]


def test_rows_and_columns_change_places() -> None:
    """Settings of many runs stand in rows, of few in columns."""
    assert TABLE.turned() == Table(
        ("", "lr", "model"), [("A", "0.1", "net"), ("B", "0.01", "resnet18")]
    )


def test_a_cell_of_a_page_ends_where_it_is_to_end() -> None:
    """Neither a pipe, a line break nor another's markup ends it; our own markup stays."""
    made = Table(["a", "b"], [["x | y\nz", code("<c>")], ["[l](http://x)", ""]])
    assert made.markdown().splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x \\| y z | `<c>` |",
        "| [l]&#40;http://x) |  |",
    ]


def test_a_cell_of_a_csv_is_obeyed_by_nothing() -> None:
    """No formula of a spreadsheet, no escape of a terminal; a number below zero stays one."""
    made = Table(["=a", "b"], [["=1+1", "-3"], ["\x1b[31m", "x,y"]]).csv()
    assert list(csv.reader(made.splitlines())) == [
        ["'=a", "b"],
        ["'=1+1", "-3"],
        ["\\x1b[31m", "x,y"],
    ]
