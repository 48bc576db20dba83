"""The examples of docs/watch.md are whole programs: each is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running_expkit import without_plots

from expkit.records.run.reader import Run

PAGE = (Path(__file__).parents[2] / "docs" / "watch.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("example", EXAMPLES, ids=["module", "function"])
def test_an_example_runs_and_leaves_a_finished_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with without_plots():
        exec(compile(example, "docs/watch.md", "exec"), {"__name__": "__main__"})
    (path,) = (tmp_path / "outputs").iterdir()
    run = Run(path)
    assert run.status == "finished"
    assert len(run.history) in (2, 3)
    assert (path / "report.md").exists()


def test_every_rule_of_loops_is_named() -> None:
    rules = Path(__file__).parents[2] / "conf" / "diagnosis"
    named = set(re.findall(r"`(\w+)`", PAGE))
    of_loops = {p.stem for p in rules.glob("*.yaml") if "rules.loop." in p.read_text("utf-8")}
    assert of_loops <= named
