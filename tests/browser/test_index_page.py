"""index.html in a real browser: it filters, sorts, and sets runs side by side."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import unquote

import pytest
from real_browser import Browser
from synthetic_runs import classes_run, config_of, failed_gate_run

from expkit.reports.html.index_page import COLUMNS, write_index
from expkit.reports.html.rendering import render
from expkit.reports.run.pages import refresh

pytestmark = pytest.mark.slow  # a browser takes its time; `make test-browser` runs them
MOST_SECONDS = 8.0  # for ten thousand runs, on a machine with other work


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs, 96, 80 and 60 % right or about, and one that failed."""
    folder = tmp_path_factory.mktemp("outputs")
    made = [
        classes_run(
            folder,
            share_right=share,
            name=f"2026010{number}_120000_run",
            config=config_of(seed=number, name=f"run {number}"),
        )
        for number, share in enumerate((0.96, 0.8, 0.6), 1)
    ]
    made.append(failed_gate_run(folder, name="20260104_120000_<script>alert(1)<b>"))
    for run in made:
        refresh(run.path, plots=False)
    return write_index(folder)


@pytest.mark.parametrize("width", [1280, 400])
def test_it_opens(index: Path, browser: Browser, width: int) -> None:
    """Without a complaint, a request, or a page that is wider than the screen."""
    browser.open(index, width)
    assert browser.errors() == []
    assert browser.requests() == [index.as_uri()]
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert len(browser.texts("#runs tbody tr")) == 4


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("accuracy>0.9", 1),
        ("accuracy<=0.9", 2),
        ("test/accuracy>50%", 3),
        ("status=failed", 1),
        ("status!=failed accuracy<0.7", 1),
        ("seed=2", 1),
        ("findings=gate_failed", 1),
        ("02_120000", 1),
        ("no such words", 0),
    ],
)
def test_a_filter_filters(index: Path, browser: Browser, words: str, count: int) -> None:
    browser.open(index)
    browser.type_into("#filter", words)
    assert len(browser.texts("#runs tbody tr")) == count
    assert browser.texts("#count") == [f"{count} of 4"]


def test_a_misspelt_key_is_told_with_the_nearest(index: Path, browser: Browser) -> None:
    browser.open(index)
    browser.type_into("#filter", "acuracy>0.9")
    assert browser.texts("#problem") == ["no run has 'acuracy'; nearest: accuracy"]


def test_a_click_sorts(index: Path, browser: Browser) -> None:
    """By the figure, and a run without one comes last both ways."""
    browser.open(index)
    column = "#runs th:nth-child(8) button"
    for order in (1, -1):
        browser.click(column)
        shown = browser.texts("#runs tbody td:nth-child(8)")
        values = [float(text.split()[0]) for text in shown if text]
        assert shown[-1] == ""
        assert values == sorted(values, reverse=order == 1)


def test_two_runs_stand_side_by_side(index: Path, browser: Browser) -> None:
    """What differs between them, their figures and their curves, and the command."""
    browser.open(index)
    browser.type_into("#filter", "accuracy>0.7")
    for row in (1, 2):
        browser.click(f"#runs tbody tr:nth-child({row}) input")
    texts = browser.texts("#beside tbody tr")
    assert "seed21" in texts
    assert any(text.startswith("test/accuracy") for text in texts)
    assert browser.ask("document.querySelectorAll('#beside figure path').length") == 2
    assert browser.texts("#beside pre") == [
        "expkit compare 20260102_120000_run 20260101_120000_run"
    ]


def test_a_link_leads_to_the_report_wherever_the_folder_lies(index: Path, browser: Browser) -> None:
    """Relative to the page, whatever the run is called."""
    browser.open(index)
    places = browser.ask("[...document.querySelectorAll('#runs a')].map((each) => each.href)")
    for name in ("20260101_120000_run", "20260104_120000_<script>alert(1)<b>"):
        assert str(index.parent / name / "report.html") in [
            unquote(each.removeprefix("file://")) for each in places
        ]


def test_ten_thousand_runs_open(tmp_path: Path, browser: Browser) -> None:
    """Their rows are made as they come into sight; the last can be scrolled to, and sorted."""
    start = ["run", "finished", "2026-01-01 12:00", 12.5, "val/accuracy"]
    facts = {"choices": {"model": "m"}, "settings": {"seed": 0}, "judged": "val"}
    rows = [
        [
            f"20260101_{number:06d}",
            *start,
            number / 10_000,
            f"{number / 100:.2f} %",
            "met",
            [],
            "",
            [],
            [],
            1000,
            "1 MB",
            "report.html",
            {**facts, "metrics": {"val/accuracy": number / 10_000}, "curve": None},
        ]
        for number in range(10_000)
    ]
    assert len(rows[0]) == len(COLUMNS) + 1
    page = tmp_path / "index.html"
    data = {"columns": COLUMNS, "rows": rows}
    page.write_bytes(render("index.html", folder="many", num=len(rows), data=data))
    begun = time.monotonic()
    browser.open(page)
    assert time.monotonic() - begun < MOST_SECONDS
    assert browser.ask("document.querySelectorAll('#runs tbody tr').length") < 200
    browser.ask("(() => { document.querySelector('.list').scrollTop = 1e7; })()")
    time.sleep(0.5)
    assert "20260101_009999" in "".join(browser.texts("#runs tbody tr"))
    browser.type_into("#filter", "accuracy>=0.999")
    assert browser.texts("#count") == ["10 of 10000"]
    assert browser.errors() == []
