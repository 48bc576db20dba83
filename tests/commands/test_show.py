"""`expkit show` as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

from running_expkit import Expkit


def test_show_tells_a_finished_run(run_here: Expkit, tiny_run: Path) -> None:
    """By `last`, by a part of its name and by its path."""
    for word in ("last", "tiny", "outputs"):
        done = run_here("show", word)
        assert ("finished" in done.out) == (word != "outputs")


def test_a_run_is_named_by_a_word_that_others_contain(run_here: Expkit, tiny_run: Path) -> None:
    """`deep` means the run of that very name, though `deep_repaired` contains it."""
    for name in ("deep", "deep_repaired"):
        shutil.copytree(tiny_run, tiny_run.with_name(tiny_run.name.replace("tiny", name)))
    assert run_here("show", "deep").code == 0
    assert run_here("show", "dee").code == 2
