"""Faults that nobody foresaw: one screen, an exit code of their own, the traceback in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from expkit import cli
from expkit.commands import show
from expkit.errors import UserError


def fail(words: Sequence[str]) -> int:
    raise ZeroDivisionError("a fault\nof two lines")


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which tracebacks are kept, with a command that fails."""
    monkeypatch.setattr(show, "main", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_fault_is_one_screen(faults: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 70, no traceback on the screen, and a file that has it with the command."""
    assert cli.dispatch(["show", "my run"]) == 70
    screen = capfd.readouterr().err
    assert "ZeroDivisionError: a fault" in screen
    assert "Traceback" not in screen
    (file,) = faults.glob("expkit_fault_*.txt")
    assert file.name in "".join(screen.split())
    content = file.read_text()
    assert content.startswith("expkit show 'my run'")
    assert "Traceback" in content
    assert "ZeroDivisionError" in content


def test_a_fault_can_be_looked_at(faults: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EXPKIT_TRACEBACK=1, which the screen of other errors names, lets it through."""
    monkeypatch.setenv("EXPKIT_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        cli.dispatch(["show", "last"])
    assert not list(faults.iterdir())


def test_a_fault_is_told_where_no_file_can_be_written(
    faults: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A full disk must not hide what went wrong."""
    with monkeypatch.context() as full:
        full.setattr(tempfile, "tempdir", str(faults / "absent"))
        assert cli.dispatch(["show", "last"]) == 70
    assert "EXPKIT_TRACEBACK=1" in capfd.readouterr().err


def test_a_fault_in_a_test_leaves_nothing_in_the_machines_folder(
    own_temporary_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The session's own folder has the traceback, and goes with it."""
    monkeypatch.setattr(show, "main", fail)
    assert cli.dispatch(["show", "last"]) == 70
    assert str(own_temporary_folder) in "".join(capfd.readouterr().err.split())
    assert list(own_temporary_folder.glob("expkit_fault_*.txt"))


@pytest.mark.parametrize(
    ("command", "advice"), [("train", "'trust=[os]'"), ("evaluate", "--trust os")]
)
def test_trust_is_asked_for_in_the_words_of_the_command(
    command: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only train takes settings as words; the others have a flag for it."""

    def refuse(words: Sequence[str]) -> int:
        raise UserError("no", fix="add it if you trust it: 'trust=[os]'")

    monkeypatch.setattr("expkit.cli._run", refuse)
    assert cli.dispatch([command, "x"]) == 2
    assert f"add it if you trust it: {advice}" in capsys.readouterr().err
