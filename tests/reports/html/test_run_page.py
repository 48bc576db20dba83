"""report.html: what it holds, for runs of every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import (
    classes_run,
    config_of,
    failed_gate_run,
    interrupted_run,
    position_run,
    puzzle_run,
)

from expkit.api.run import load_run
from expkit.records.run.annotations import add_note, change_tags
from expkit.records.run.reader import Run
from expkit.records.run.test_look import TestLook
from expkit.reports import formatting
from expkit.reports.run.pages import refresh

HOSTILE = (
    "<script>alert(1)</script>",
    "</script>",
    '"onmouseover="alert(1)',
    "javascript:x",
    "\u2028",
)
LARGEST = 2_000_000  # bytes


def page_of(run: Run) -> str:
    refresh(run.path, plots=False)
    return (run.path / "report.html").read_text()


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize(
    "write", [puzzle_run, classes_run, position_run, failed_gate_run, interrupted_run]
)
def test_a_page_says_the_verdict_and_asks_nobody_for_anything(
    write: Callable[[Path], Run], tmp_path: Path
) -> None:
    """Also of numbers, of a gate that failed, of a run without images, and of one cut off."""
    run = write(tmp_path)
    page = page_of(run)
    summary = json.loads((run.path / "summary.json").read_text())
    shown = re.search(r'id="verdict">(.*?)<', page)
    assert shown is not None
    assert shown[1].lower() == summary["verdict"]
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:|//|file:)""", page)
    assert len(page.encode()) < LARGEST


def test_figures_are_those_of_the_summary(tmp_path: Path) -> None:
    """The headline with its interval and levels, each class, and each point of a curve."""
    run = classes_run(tmp_path)
    page = page_of(run)
    summary = json.loads((run.path / "summary.json").read_text())
    accuracy = summary["metrics"]["test"]["accuracy"]
    assert f'id="figure">{formatting.percent(accuracy)}<' in page
    ends = summary["intervals"]["test"]["accuracy"]
    assert f"95 % interval {formatting.interval('accuracy', ends)}" in page
    assert f"chance {formatting.percent(summary['chance_accuracy'])}" in page
    for each in summary["classes"]["test"]:
        assert formatting.percent(each["recall"]) in page
    data = data_of(page)
    (loss,) = (chart for chart in data["charts"] if chart["title"] == "loss")
    held_out = next(line for line in loss["lines"] if "val" in line["name"])
    expected = [[each["epoch"], each["val/loss"]] for each in run.history if "val/loss" in each]
    assert held_out["points"] == [[x, pytest.approx(y, rel=1e-4)] for x, y in expected]
    counts = data["confusion"]["counts"]
    assert sum(map(sum, counts)) == summary["num_judged"]
    right = sum(row[place] for place, row in enumerate(counts))
    assert right / summary["num_judged"] == pytest.approx(accuracy)
    assert len(data["confusion"]["errors"]) == summary["num_judged"] - right


def test_an_interval_widened_by_looks_is_called_what_it_is(tmp_path: Path) -> None:
    """The second look at a sealed test set has 97.5 %, on the page and in a notebook's cell."""
    run = classes_run(tmp_path)
    TestLook("test", "abc", 2).write(run.path)
    page = page_of(run)
    cell = load_run(run.path)._repr_html_()
    for head in (page[: page.index('id="findings"')], cell[: cell.index("</tr>")]):
        assert "97.5 % interval" in head
        assert " 95 % interval" not in head


def test_names_are_text_wherever_they_stand(tmp_path: Path) -> None:
    """Classes, the run's name and its hypothesis: none opens or ends an element."""
    config = config_of(name=HOSTILE[0], hypothesis=HOSTILE[1] + HOSTILE[0])
    run = classes_run(
        tmp_path, HOSTILE, share_right=0.5, config=config, name='20260101_120000_"onload=<b>'
    )
    page = page_of(run)
    assert "<script>alert" not in page
    assert '"onmouseover="' not in page
    assert '"onload=<b>' not in page
    assert "\u2028" not in page
    scripts = re.findall(r"<script", page)
    assert len(scripts) == len(re.findall(r"</script>", page)) == 4  # ours
    assert data_of(page)["classes"][:2] == list(HOSTILE[:2])


def test_tags_and_notes_stand_on_the_page(tmp_path: Path) -> None:
    """As they were written, and as text."""
    run = failed_gate_run(tmp_path)
    change_tags(run.path, ["first"], [])
    add_note(run.path, HOSTILE[0])
    page = page_of(run)
    assert "<code>first</code>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


@pytest.mark.slow
def test_a_thousand_classes_fit(tmp_path: Path) -> None:
    """The most confused pairs stand for the matrix, and the page stays small."""
    names = [f"class number {number}" for number in range(1000)]
    page = page_of(classes_run(tmp_path, names, share_right=0.6, per_class=3))
    assert len(page.encode()) < LARGEST
    confusion = data_of(page)["confusion"]
    assert "counts" not in confusion
    assert confusion["pairs"][0][2] == max(pair[2] for pair in confusion["pairs"])
    assert len(confusion["errors"]) <= confusion["num_errors"]


def test_a_puzzle_is_mapped_with_its_epochs(tmp_path: Path) -> None:
    """The last state is the run's predictions; each earlier one a snapshot's."""
    run = puzzle_run(tmp_path, 4, 5)
    (puzzle,) = data_of(page_of(run))["puzzles"]
    assert puzzle["image"].startswith("data:image/jpeg;base64,")
    assert puzzle["states"][-1]["name"] == "final"
    right = (run.predictions["train"].ranks == 0).tolist()  # type: ignore[union-attr]
    assert [each == "1" for each in puzzle["states"][-1]["right"]] == right
    assert len(puzzle["states"]) == 1 + len(list(run.snapshots()))


def test_a_number_that_is_not_finite_has_no_point(tmp_path: Path) -> None:
    """JSON has no NaN, and a browser would refuse all of it."""
    run = classes_run(tmp_path)
    path = run.path / "history.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["train/loss"] = float("nan")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (loss,) = (c for c in data_of(page_of(Run(run.path)))["charts"] if c["title"] == "loss")
    assert loss["lines"][0]["points"][-1][1] is None
