"""`expkit list` and `expkit show`: quick, and without torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_expkit import Expkit

from expkit.config.paths import builtin_conf, first_comment


def test_every_choice_has_its_one_line() -> None:
    """A YAML without a first comment could not be listed."""
    files = list(builtin_conf().rglob("*.yaml"))
    assert len(files) > 20
    assert [path.name for path in files if not first_comment(path)] == []


def test_list_shows_groups_choices_and_lines(run_here: Expkit) -> None:
    """All of them, or those of one group."""
    everything = run_here("list").out
    assert "larger_backbone" in everything
    assert "one_cycle" in everything
    only = run_here("list", "model").out
    assert "632,566 parameters" in only
    assert "one_cycle" not in only


@pytest.mark.parametrize("words", [("--help",), ("list",), ("show", "last"), ("plot", "last")])
def test_reading_commands_do_not_load_torch(
    words: tuple[str, ...], run_without_torch: Expkit, tiny_run: Path
) -> None:
    """A run can be looked at on a machine without torch."""
    done = run_without_torch(*words)
    assert done.code == 0, done.err
    assert done.out
