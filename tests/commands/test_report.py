"""Which runs `expkit report` takes for those that an experiment names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from running_expkit import Expkit
from synthetic_runs import config_of, puzzle_run

from expkit.commands.report import write_page
from expkit.records.files import read_json


@pytest.mark.parametrize(
    ("name", "folder"),
    [("line_baseline", "20260101_110000_line_baseline"), ("line", "20260101_110000_line_2")],
)
def test_a_named_run_is_known_by_its_config(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undrawn: None
) -> None:
    """`baseline` is not a newer `line_baseline`; `line_2` may be a second run of `line`."""
    monkeypatch.chdir(tmp_path)
    named = "line" if name == "line" else "baseline"
    puzzle_run(Path("outputs"), 2, 2, name=f"20260101_100000_{named}", config=config_of(name=named))
    puzzle_run(Path("outputs"), 2, 2, name=folder, config=config_of(name=name))
    config = config_of(name="ours", compared_with=[named])
    subject = puzzle_run(Path("outputs"), 2, 2, name="20260101_120000_ours", config=config)
    write_page([subject], Path("experiments/ours"))
    theirs = folder if name == named else f"20260101_100000_{named}"
    expected = [f"outputs/{each}" for each in ("20260101_120000_ours", theirs)]
    assert read_json(Path("experiments/ours/result.json"))["runs"] == expected


def test_report_writes_a_page_and_keeps_the_notes(
    run_here: Expkit, tiny_run: Path, tmp_path: Path
) -> None:
    """What a person wrote under Notes survives a refresh from other runs."""
    for name in ("first", "second"):
        shutil.copytree(tiny_run, tiny_run.with_name(tiny_run.name.replace("tiny", name)))
    assert run_here("report", "first", "second", "--to", "experiments/pair").code == 0
    page = tmp_path / "experiments" / "pair" / "README.md"
    page.write_text(page.read_text() + "\nA thought of mine.\n")
    assert run_here("report", "second", "first", "--to", "experiments/pair").code == 0
    assert "A thought of mine." in page.read_text()
    assert str(tmp_path) not in page.read_text()
