"""The refusal of a wrong request, as a terminal, a traceback and a notebook show it."""

from __future__ import annotations

import pytest

from expkit.errors import UserError


def refuse() -> UserError:
    """One with a long command, which is copied in one piece, and a name that is no plain text."""
    command = f"expkit train {'model=resnet18 ' * 9}".strip()
    try:
        raise UserError("no key 'x\x1b[2J'", where="model.x=1", nearest="model.y", fix=command)
    except UserError as error:
        return error


def test_its_text_is_the_screen_behind_the_name_of_the_class() -> None:
    """A traceback ends in it; nothing in it is obeyed, and a command is not broken."""
    lines = str(refuse()).splitlines()
    assert lines[0] == "no key 'x\\x1b[2J'"
    assert lines[1:3] == ["  where    model.x=1", "  nearest  model.y"]
    assert lines[3] == f"  do       expkit train {'model=resnet18 ' * 9}".rstrip()
    assert refuse().screen() == f"expkit: {refuse()}"


def test_a_notebook_shows_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the traceback where that is asked for, as on a terminal."""
    error = refuse()
    assert error._render_traceback_() == [error.screen()]
    monkeypatch.setenv("EXPKIT_TRACEBACK", "1")
    shown = "".join(error._render_traceback_())
    assert shown.startswith("Traceback")
    assert "in refuse" in shown
