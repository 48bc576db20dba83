"""The CSV of a followed folder: whole rows, one writer, and no rows of other settings."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records import followed_csv
from expkit.records.followed_csv import FollowedCsv, FollowSettings

HEADER = ["file", "prediction", "error"]
SETTINGS = FollowSettings(
    run="20260101_120000_net",
    weights_sha256="f00d",
    folder="/in",
    temperature=1.0,
    views=[],
    thresholds=[],
    names=["a", "b"],
    top=2,
)
# names that a spreadsheet would run, that hold a line break, quotes and bytes that are no UTF-8
ROWS = [
    ["/in/1.png", "a", ""],
    ['/in/=2\n"x",.png', "", "no image: 'x'"],
    ["/in/\udcff.png", "b", ""],
]


def read_rows(path: Path, settings: FollowSettings = SETTINGS) -> list[Sequence[str]]:
    """The rows that are known to be whole, after which the file holds nothing else."""
    rows: list[Sequence[str]] = []
    with FollowedCsv.open(path, settings) as opened:
        opened.begin(HEADER, rows.append)
    return rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A CSV with ROWS."""
    path = tmp_path / "out.csv"
    with FollowedCsv.open(path, SETTINGS) as opened:
        opened.begin(HEADER, lambda row: None)
        opened.append(ROWS)
    return path


def test_rows_come_back_as_they_were(path: Path) -> None:
    assert read_rows(path) == ROWS


def test_a_row_that_was_cut_off_anywhere_is_taken_away(path: Path) -> None:
    """At every byte: what stays are the first rows, and the next ones follow them."""
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        rows = read_rows(path)
        assert rows == ROWS[: len(rows)]
        missing = ROWS[len(rows) :]
        assert missing
        with FollowedCsv.open(path, SETTINGS) as opened:
            opened.begin(HEADER, lambda row: None)
            opened.append(missing)
        assert path.read_bytes() == whole


def test_zeros_that_a_power_cut_left_are_taken_away(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(5000))
    assert read_rows(path) == ROWS
    assert path.read_bytes() == whole


def test_whole_lines_that_are_no_rows_are_not_thrown_away(path: Path) -> None:
    """As where an editor left a quote open."""
    spoilt = path.read_bytes() + b'"/in/3.png,a,\n' + b"/in/4.png,a,\n" * 9000
    path.write_bytes(spoilt)
    with pytest.raises(UserError, match="holds no rows"):
        read_rows(path)
    assert path.read_bytes() == spoilt


@pytest.mark.parametrize(
    "spoilt", [b"file,other,error\n/in/1.png,a,\n", b"file,prediction,error\nx\n"]
)
def test_columns_that_are_other_ones_are_refused(path: Path, spoilt: bytes) -> None:
    path.write_bytes(spoilt)
    with pytest.raises(UserError, match="is damaged"):
        read_rows(path)
    assert path.read_bytes() == spoilt


def test_a_second_writer_is_refused(path: Path) -> None:
    with FollowedCsv.open(path, SETTINGS), pytest.raises(UserError, match="another expkit predict"):
        read_rows(path)
    assert read_rows(path) == ROWS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 2.5}, "temperature: 1.0 there, 2.5 now"),
        ({"views": ["flips"]}, "views: none there, flips now"),
        ({"thresholds": ["b: 0.1, 0.9"]}, "thresholds: none there, b: 0.1, 0.9 now"),
        ({"weights_sha256": "beef"}, "weights_sha256: f00d there, beef now"),
        ({"folder": "/other"}, "folder: /in there, /other now"),
        ({"top": 1}, "top: 2 there, 1 now"),
    ],
)
def test_rows_of_other_settings_are_refused_and_stay(
    path: Path, change: dict[str, object], said: str
) -> None:
    before, other = path.read_bytes(), replace(SETTINGS, **change)  # type: ignore[arg-type]
    with pytest.raises(UserError) as refused:
        read_rows(path, other)
    assert said in str(refused.value.details["where"])
    assert path.read_bytes() == before
    # both ways out that are told
    assert read_rows(path.with_name("another.csv"), other) == []
    path.unlink()
    assert read_rows(path, other) == []


def test_a_csv_of_something_else_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("file,prediction,error\n/in/1.png,a,\n")
    with pytest.raises(UserError, match="has not written it"):
        read_rows(path)
    assert path.read_text() == "file,prediction,error\n/in/1.png,a,\n"


@pytest.mark.parametrize("text", ["[]", "{}", '{"run": 1}', "{"])
def test_damaged_settings_are_refused(path: Path, text: str) -> None:
    path.with_name("out.csv.follow.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        read_rows(path)


def test_a_pipe_or_a_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name, said in (("pipe.csv", "no plain file"), (".", "cannot write")):
        with pytest.raises(UserError, match=said):
            read_rows(tmp_path / name)


def test_nothing_stays_of_a_start_that_came_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(ValueError, match="no model"), FollowedCsv.open(path, SETTINGS):
        raise ValueError("no model")
    assert list(tmp_path.iterdir()) == []


def test_a_link_of_the_user_is_followed(path: Path) -> None:
    link = path.with_name("link.csv")
    link.symlink_to(path)
    assert read_rows(link) == ROWS


def test_a_full_disk_leaves_whole_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the row goes to the disk, and then no more."""
    before, write = path.read_bytes(), os.write

    def fill_up(descriptor: int, data: bytes) -> int:
        if len(data) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    with FollowedCsv.open(path, SETTINGS) as opened:
        opened.begin(HEADER, lambda row: None)
        with monkeypatch.context() as patch:
            patch.setattr(followed_csv.os, "write", fill_up)
            with pytest.raises(UserError, match="no space left on device"):
                opened.append([["/in/4.png", "a", ""]])
        assert path.read_bytes() == before
        opened.append([["/in/4.png", "a", ""]])  # once there is room
    assert len(read_rows(path)) == 4


@pytest.mark.parametrize("how", ["removed", "replaced", "written"])
def test_a_csv_that_something_else_changes_is_not_written_to(path: Path, how: str) -> None:
    with FollowedCsv.open(path, SETTINGS) as opened:
        opened.begin(HEADER, lambda row: None)
        content = path.read_bytes()
        if how == "written":
            with path.open("ab") as stream:
                stream.write(b"/in/4.png,a,\n")
        else:
            path.unlink()
        if how == "replaced":
            path.write_bytes(content)
        with pytest.raises(UserError, match="something else changed"):
            opened.append([["/in/5.png", "a", ""]])
    # as it says: it goes on from what the file holds now
    assert len(read_rows(path)) == {"removed": 0, "replaced": 3, "written": 4}[how]


def test_the_settings_are_there_before_the_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that no kill leaves rows of which nobody knows what made them."""
    path = tmp_path / "out.csv"

    def die(descriptor: int, data: bytes) -> int:
        assert json.loads((tmp_path / "out.csv.follow.json").read_text())["run"] == SETTINGS.run
        raise KeyboardInterrupt

    monkeypatch.setattr(followed_csv.os, "write", die)
    with pytest.raises(KeyboardInterrupt):
        read_rows(path)
