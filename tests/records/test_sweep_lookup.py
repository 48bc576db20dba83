"""How a word finds a sweep among runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.errors import UserError
from expkit.records.run import Run
from expkit.records.sweep import Sweep, SweepFolder, find_run_or_sweep


def make_sweep(parent: Path, name: str) -> Path:
    path = parent / f"{name}_sweep"
    SweepFolder.create(path, {"objective": "held_out/accuracy"})
    return path


def make_run(parent: Path, name: str) -> Path:
    path = parent / name
    path.mkdir(parents=True)
    for file in ("config.yaml", "environment.json"):
        (path / file).write_text("{}")
    return path


def test_a_word_finds_a_sweep_or_a_run(tmp_path: Path) -> None:
    """By path, by a part of the name, and `last`; a sweep's runs do not stand before it."""
    make_run(tmp_path, "20260101_000000_net")
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    inside = make_run(sweep, "20260102_000009_net_inside")
    assert find_run_or_sweep("last", tmp_path) == Sweep(sweep)
    assert find_run_or_sweep(str(sweep)) == Sweep(sweep)
    assert find_run_or_sweep("7_sweep", tmp_path) == Sweep(sweep)
    assert find_run_or_sweep("net_inside", tmp_path) == Run(inside)
    newer = make_run(tmp_path, "20260103_000000_net")
    assert find_run_or_sweep("last", tmp_path) == Run(newer)


def test_a_word_of_several_or_none_is_refused(tmp_path: Path) -> None:
    """With the names that there are, sweeps among them."""
    make_sweep(tmp_path, "20260102_000000_7")
    make_sweep(tmp_path, "20260102_000000_8")
    for word in ("sweep", "nothing"):
        with pytest.raises(UserError) as caught:
            find_run_or_sweep(word, tmp_path)
        assert "20260102_000000_7_sweep" in str(caught.value.details["allowed"])


def test_a_sweeps_damaged_facts_are_refused(tmp_path: Path) -> None:
    """A file without the words that began it is named, and no KeyError comes of it."""
    sweep = make_sweep(tmp_path, "20260102_000000_7")
    (sweep / "sweep.json").write_text('{"command": "train"}')
    with pytest.raises(UserError, match="no command"):
        _ = Sweep(sweep).command
    with pytest.raises(UserError, match="no objective"):
        _ = Sweep(sweep).objective
