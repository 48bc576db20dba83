"""`expkit list` and `expkit show`: quick, and without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, WITHOUT_TORCH, Expkit

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
    words: tuple[str, ...], run_here: Expkit, tmp_path: Path
) -> None:
    """A run can be looked at on a machine without torch."""
    assert run_here("train", *TINY, "procedure=full").code == 0
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_show_tells_a_finished_run(run_here: Expkit) -> None:
    """By `last`, by a part of its name and by its path."""
    run_here("train", *TINY, "procedure=full", "name=to_be_shown")
    for word in ("last", "to_be_shown", "outputs"):
        done = run_here("show", word)
        assert ("finished" in done.out) == (word != "outputs")


def test_a_run_is_named_by_a_word_that_others_contain(run_here: Expkit, tmp_path: Path) -> None:
    """`deep` means the run of that very name, though `deep_repaired` contains it."""
    for name in ("deep", "deep_repaired"):
        run_here("train", *TINY, "procedure=full", f"name={name}")
    assert run_here("show", "deep").code == 0
    assert run_here("show", "dee").code == 2


def test_report_writes_a_page_and_keeps_the_notes(run_here: Expkit, tmp_path: Path) -> None:
    """What a person wrote under Notes survives a refresh from other runs."""
    for name in ("first", "second"):
        run_here("train", *TINY, "procedure=full", f"name={name}", "optimizer.lr=0.01")
    assert run_here("report", "first", "second", "--to", "experiments/pair").code == 0
    page = tmp_path / "experiments" / "pair" / "README.md"
    page.write_text(page.read_text() + "\nA thought of mine.\n")
    assert run_here("report", "second", "first", "--to", "experiments/pair").code == 0
    assert "A thought of mine." in page.read_text()
    assert str(tmp_path) not in page.read_text()
