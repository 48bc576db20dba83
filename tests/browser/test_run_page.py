"""report.html in a real browser: it opens, and what can be clicked does what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from real_browser import Browser
from synthetic_runs import (
    classes_run,
    config_of,
    failed_gate_run,
    interrupted_run,
    position_run,
    puzzle_run,
)

from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.run.pages import refresh

pytestmark = pytest.mark.slow  # a browser takes its time; `make test-browser` runs them
HOSTILE = ("<script>alert(1)</script>", "</script>", '"onmouseover="alert(1)', "javascript:x")


def page_of(run: Run) -> Path:
    refresh(run.path, plots=False)
    return run.path / "report.html"


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "write", [puzzle_run, classes_run, position_run, failed_gate_run, interrupted_run]
)
def test_pages_of_every_kind_open(
    write: Callable[[Path], Run], width: int, tmp_path: Path, browser: Browser
) -> None:
    """Without a complaint, a request, or a line that is wider than the screen."""
    page = page_of(write(tmp_path))
    browser.open(page, width)
    assert browser.errors() == []
    assert browser.requests() == [page.as_uri()]
    assert browser.ask("document.documentElement.scrollWidth") <= width


def test_figures_on_the_screen_are_those_of_the_summary(tmp_path: Path, browser: Browser) -> None:
    run = classes_run(tmp_path)
    browser.open(page_of(run))
    summary = json.loads((run.path / "summary.json").read_text())
    accuracy = summary["metrics"]["test"]["accuracy"]
    assert browser.texts("#figure") == [formatting.percent(accuracy)]
    assert browser.texts("#verdict")[0].lower() == summary["verdict"]
    errors = round((1 - accuracy) * summary["num_judged"])
    assert len(browser.texts("#errors tbody tr")) == errors
    assert sum(map(int, browser.texts(".matrix td.off"))) == errors


def test_a_click_sorts_and_another_turns_it(tmp_path: Path, browser: Browser) -> None:
    """By number and not by letter: 9.5 % comes before 100 %."""
    browser.open(page_of(classes_run(tmp_path, share_right=0.6)))
    for order in ("descending", "ascending"):
        browser.click("#classes th:nth-child(4) button")
        assert browser.ask("document.querySelector('#classes th:nth-child(4)').ariaSort") == order
        shown = browser.texts("#classes tbody td:nth-child(4)")
        values = [float(text.split(" %")[0]) for text in shown]
        assert values == sorted(values, reverse=order == "descending")


def test_a_filter_leaves_the_rows_that_have_all_words(tmp_path: Path, browser: Browser) -> None:
    browser.open(page_of(classes_run(tmp_path)))
    before = len(browser.texts("#settings tbody tr"))
    browser.type_into("#settings input", "overfit_10 max_steps")
    (row,) = browser.texts("#settings tbody tr")
    assert "procedure.overfit_10.max_steps" in row
    assert before > 1


def test_a_cell_of_the_matrix_lists_its_samples(tmp_path: Path, browser: Browser) -> None:
    run = classes_run(tmp_path, share_right=0.5)
    browser.open(page_of(run))
    count = int(browser.texts(".matrix td.off button")[0])
    browser.click(".matrix td.off button")
    assert len(browser.texts("#errors tbody tr")) == count
    assert len(set(browser.texts("#errors tbody td:nth-child(3)"))) == 1


def test_curves_tell_their_values_and_zoom(tmp_path: Path, browser: Browser) -> None:
    """By the keyboard: the first epoch's values, then fewer epochs, then all again."""
    run = classes_run(tmp_path)
    browser.open(page_of(run))
    chart = browser.find("#curves figure svg")
    chart.send_keys("\ue014")  # arrow right
    told = browser.ask("document.getElementById('tip').textContent")
    first = next(each for each in run.history if each["stage"] == "train")
    assert "epoch 1" in told
    assert f"{first['train/loss']:.4g}" in told
    chart.send_keys("+")
    assert browser.texts("#curves .reset") == ["see all"]
    browser.click("#curves .reset")
    assert browser.texts("#curves .reset") == []


def test_the_map_of_a_puzzle_goes_back_to_an_earlier_epoch(
    tmp_path: Path, browser: Browser
) -> None:
    browser.open(page_of(puzzle_run(tmp_path, 4, 5)))
    (final,) = browser.texts(".map figcaption")
    browser.click(".map .tools button")
    (early,) = browser.texts(".map figcaption")
    assert "final" in final
    assert "epoch" in early
    assert early != final


def test_names_of_strangers_run_nothing(tmp_path: Path, browser: Browser) -> None:
    """They are seen as they are written, and no dialog opens."""
    config = config_of(hypothesis=HOSTILE[0], name=HOSTILE[1])
    run = classes_run(tmp_path, HOSTILE, share_right=0.4, config=config, name="20260101_1_<b>x")
    browser.open(page_of(run))
    browser.click(".matrix td.off button")
    assert browser.errors() == []
    assert set(browser.texts(".matrix tbody th")) == set(HOSTILE)
    assert browser.ask("document.querySelectorAll('script').length") == 4
    assert (
        browser.ask("document.querySelectorAll('[onmouseover], a[href^=javascript]').length") == 0
    )
