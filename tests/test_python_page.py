"""docs/python.md: its examples run, one after another, and what it shows is what comes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import expkit

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text("utf-8")


@pytest.mark.slow
def test_the_examples_run_in_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undrawn: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What they make is used by those below, and the page's screen is to the letter."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S):
        exec(compile(block, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    (screen,) = re.findall(r"^```\n\n((?:    .*\n)+)", PAGE, re.M)
    assert re.sub("^    ", "", screen, flags=re.M) in said
    run = names["run"]
    assert run == expkit.load_run("short")
    assert run.passed
    assert len(names["predictions"]) == 270
    assert len(names["wrong"]) == (~names["predictions"].correct).sum()
    assert isinstance(names["figure"], Figure)
    assert Path("curves.svg").read_text().startswith("<?xml")
    assert names["logits"].shape == (2, 10)
    assert len(names["frame"]) == 2
    assert names["comparison"].verdict in ("better", "no evidence of a difference")


def test_every_public_name_is_on_the_page() -> None:
    """Of the package; and of a run each property and method, as the page is their reference."""
    package = [name for name in expkit.__all__ if name.islower() and not name.startswith("_")]
    members = [name for name in vars(expkit.Run) if not name.startswith("_")]
    absent = [f"expkit.{name}" for name in package if f"expkit.{name}(" not in PAGE]
    absent += [name for name in members if f"run.{name}" not in PAGE]
    assert absent == []
