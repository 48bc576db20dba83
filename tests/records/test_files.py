"""Files that survive a kill: whole or not there, with a torn last line forgiven."""

from __future__ import annotations

import errno
import math
import os
import threading
from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.files import (
    append_line,
    find_record,
    read_json,
    read_lines,
    write_aside,
    write_json,
    write_lines,
)


def test_write_aside_replaces_a_file(tmp_path: Path) -> None:
    """The new content, nothing beside it, and readable by others as files usually are."""
    path = tmp_path / "file"
    path.write_bytes(b"a longer old content")
    write_aside(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("step", ["fdopen", "chmod", "replace"])
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    """Whatever fails on the way, the old content stands and no half file lies about."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise failure

    monkeypatch.setattr(os if step == "fdopen" else Path, step, fail)
    with pytest.raises(type(failure)):
        write_aside(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_whole_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the instant of the rename all bytes are on file, so a kill leaves old or new."""
    path, seen = tmp_path / "file", []
    rename = Path.replace

    def look_and_rename(aside: Path, target: Path) -> Path:
        seen.append((aside.parent, aside.read_bytes(), target.exists()))
        return rename(aside, target)

    monkeypatch.setattr(Path, "replace", look_and_rename)
    write_aside(path, b"x" * 100_000)
    assert seen == [(tmp_path, b"x" * 100_000, False)]


def test_lines_are_appended(tmp_path: Path) -> None:
    """One line each, in UTF-8, after what is there."""
    append_line(tmp_path / "log", "erste Zeile: ü")
    append_line(tmp_path / "log", "second")
    assert (tmp_path / "log").read_text(encoding="utf-8") == "erste Zeile: ü\nsecond\n"


def test_lines_of_several_writers_do_not_mix(tmp_path: Path) -> None:
    """Each line is one system call at the end of the file."""
    lines = [str(writer) * 3000 for writer in range(4)]

    def write(line: str) -> None:
        for _ in range(25):
            append_line(tmp_path / "log", line)

    writers = [threading.Thread(target=write, args=[line]) for line in lines]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted((tmp_path / "log").read_text().split()) == sorted(lines * 25)


def test_line_cut_short_by_a_full_disk_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told, and the lines before it stay readable."""
    path = tmp_path / "history.jsonl"
    append_line(path, '{"epoch": 1}')
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(OSError, match="No space left") as caught:
        append_line(path, '{"epoch": 2}')
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    append_line(path, '{"epoch": 3}')
    assert read_lines(path) == [{"epoch": 1}, {"epoch": 3}]


@pytest.mark.parametrize("torn", ['{"epo', '{"epoch": 3', '{"name": "\\ud8', "{", '{"a": "ü"'])
def test_torn_last_line_is_forgiven(tmp_path: Path, torn: str) -> None:
    """A record cut off anywhere is left out, and those before it are read."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"epoch": 1}\n{"epoch": 2}\n' + torn.encode())
    assert read_lines(path) == [{"epoch": 1}, {"epoch": 2}]


def test_line_torn_within_a_character_is_forgiven(tmp_path: Path) -> None:
    """The cut may fall between the two bytes of an umlaut."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + '{"a": "ü'.encode()[:-1])
    assert read_lines(path) == [{"epoch": 1}]


def test_lines_come_back_as_written(tmp_path: Path) -> None:
    """Numbers are exact, NaN and infinity survive, and a file not there holds none."""
    records = [{"loss": 0.1 + 0.2, "epoch": 7}, {"loss": math.inf, "text": 'a "ü",\n'}]
    write_lines(tmp_path / "lines", records)
    assert read_lines(tmp_path / "lines") == records
    write_lines(tmp_path / "lines", [{"loss": math.nan}])
    assert math.isnan(read_lines(tmp_path / "lines")[0]["loss"])
    assert read_lines(tmp_path / "none") == []


def test_json_is_for_people_too(tmp_path: Path) -> None:
    """Indented, in plain UTF-8, and read back as it was."""
    write_json(tmp_path / "a.json", {"name": "Münster", "figures": [0.1, None]})
    assert '  "name": "Münster"' in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"name": "Münster", "figures": [0.1, None]}


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    """Nobody goes on with a list where a record was meant."""
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(UserError, match="holds no JSON object"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("bad", ["garbage", "[1, 2]", "5", '{"a": 1}'])
def test_damage_before_the_last_line_is_not_passed_over(tmp_path: Path, bad: str) -> None:
    """What follows it would be hidden, and a resumed run would cut it off."""
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"epoch": 1}}\n{bad}\n{{"epoch": 3}}\n')
    with pytest.raises(UserError, match="line 2 of 3 is no record"):
        read_lines(path, ["epoch"])


def test_one_record_is_found_without_parsing_those_before(tmp_path: Path) -> None:
    """By its own value, and not by a line that merely has it somewhere."""
    path = tmp_path / "plan.jsonl"
    path.write_text('no record\n{"job": "a", "after": "b"}\n{"job": "b", "n": 2}\n{"job": "b')
    assert find_record(path, "job", "b") == {"job": "b", "n": 2}
    with pytest.raises(LookupError):
        find_record(path, "job", "c")
