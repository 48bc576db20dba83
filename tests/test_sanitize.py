"""Text of strangers at each way out: a terminal obeys none of it, and words are cut."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.csv_cells import plain_cell, safe_cell
from expkit.sanitize import CleanStream, clean, clean_streams, file_stem, one_line, raw
from expkit.terminal.live_block import TerminalBlock


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢 🙂", "plain ü 漢 🙂"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\rb\x08\x7f", "a\\rb\\x08\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("cod\u202eexe\u2066", "cod\\u202eexe\\u2066"),
        ("a\u200bb\u2028\ufeff\u00ad", "a\\u200bb\\u2028\\ufeff\\xad"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("one\n\ttwo", "one\n\ttwo"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text: str, shown: str) -> None:
    """C0, DEL, C1, bidi controls, what has no width, and halves of characters; letters stay."""
    assert clean(text) == shown


def test_a_name_is_one_line() -> None:
    """A line break in a name would be a line that expkit never said."""
    assert one_line("a\nPASS  train\tb") == "a\\nPASS  train\\tb"


def test_all_that_is_printed_is_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    """On both streams, until it is left; a progress bar's return to the line's start stays."""
    before = sys.stdout, sys.stderr
    with clean_streams(), clean_streams():
        print("\x1b[2J", "x\r")
        print("\u202e", file=sys.stderr)
        sys.stderr.write("\r 10 %")
        assert isinstance(sys.stdout, CleanStream)
        assert raw(sys.stdout) is before[0]
        assert sys.stdout.encoding == before[0].encoding
    assert (sys.stdout, sys.stderr) == before
    told = capsys.readouterr()
    assert told.out == "\\x1b[2J x\\r\n"
    assert told.err == "\\u202e\n\r 10 %"


def test_a_live_view_moves_by_itself_alone() -> None:
    """Its own escape codes reach the terminal, and those of a name do not."""
    stream = io.StringIO()
    block = TerminalBlock(CleanStream(stream))  # type: ignore[arg-type]
    block.draw(["a", "b\x1b[31m"])
    block.erase()
    assert stream.getvalue() == "a\nb\\x1b[31m\r\x1b[1A\x1b[J"


def test_echoed_words_are_cut() -> None:
    """To 80 characters, wherever they stand; a path keeps enough to be copied."""
    path = "/home/me/" + "folder/" * 20 + "run"
    error = UserError(
        f"there is no run '{'x' * 5000}' nor '{'a b ' * 2000}'",
        where=f"{'y' * 100_000} {path}",
        allowed="\n".join(map(str, range(10_000))),
        fix="expkit show\x1b[31m",
    )
    screen = error.screen()
    assert f"'{'x' * 77}...'" in " ".join(screen.split())
    assert screen.count("a b") == 19
    assert "y" * 77 + "..." in screen.replace("\n           ", "")
    assert path in screen.replace("\n           ", "")
    assert "... and 9940 more lines" in screen
    assert "\x1b" not in screen
    assert len(screen.splitlines()) < 80


@pytest.mark.parametrize(
    "name", ["=1+1", "+x", "-x", "@SUM(A1)", "\tx", "\rx", "'=x", "''@x", "'x", "plain", "", "a=b"]
)
def test_cells_run_nothing_and_come_back(name: str) -> None:
    """A spreadsheet takes what begins with these for a formula."""
    cell = safe_cell(name)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert plain_cell(cell) == name


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\\x1b[2J", "\\\\x1b[2J"),  # another name, and another cell
        ("\\\\x1b", "\\\\\\\\x1b"),
        ("a\\b\x07", "a\\\\b\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\U000e0041", "\\U000e0041"),
        ("\r=1+1", "\\x0d=1+1"),
        ("=\x1b", "'=\\x1b"),
        ("C:\\runs\\x.png", "C:\\runs\\x.png"),
        ("a\udc9bb", "a\udc9bb"),  # a byte of a file's name, which is written as it is
        ("\ud800", "\\ud800"),
        ("a\nb\tc", "a\nb\tc"),
    ],
)
def test_control_characters_of_cells_are_written_out_and_come_back(name: str, cell: str) -> None:
    """As the screen shows them; two names stay two."""
    assert safe_cell(name) == cell
    assert plain_cell(cell) == name


@pytest.mark.parametrize("number", ["-1", "+2.5", "-1e-05", "-inf"])
def test_numbers_stay_numbers(number: str) -> None:
    """Also a class that is called -1."""
    assert safe_cell(number) == plain_cell(number) == number


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/abs", ".hidden", "a\nb", "x" * 500, "\x1b[31m", "", "..", "C:\\x"],
)
def test_names_of_files_lead_nowhere(name: str) -> None:
    """One visible part of a path, short enough for any file system."""
    stem = file_stem(name)
    assert Path(stem).name == stem
    assert not stem.startswith((".", "-"))
    assert 0 < len(stem.encode()) <= 120
    assert stem.isprintable()
    assert "\\" not in stem
