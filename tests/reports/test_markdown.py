"""Names of strangers on a page: they are shown, and are no markup of it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from synthetic_runs import classes_run, config_of

from expkit.reports import markdown
from expkit.reports.run.pages import refresh
from expkit.reports.tables import Table

TAG = "<img src=http://x/a.png onerror=alert(1)>"
LINK = "[click](http://x)"
FENCE = "```\n# said by nobody\n```"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain_name 2 * 3 [0] ~ x", "plain_name 2 * 3 [0] ~ x"),
        ("*bold* **b** *2", r"\*bold\* \*\*b\*\* \*2"),
        ("_x_ __y__ a._b", r"\_x\_ \_\_y\_\_ a.\_b"),
        ("`code` ~~no~~", r"\`code\` \~\~no\~\~"),
        (r"\*x\* a\b", r"\\\*x\\\* a\b"),
        ("<b>x</b>", "&lt;b>x&lt;/b>"),
        ("[a](b)", "[a]&#40;b)"),
        ("![a](b)", "![a]&#40;b)"),
        ("a\n\n# b", "a # b"),
        ("\x1b[31m\u202e", "\\x1b[31m\\u202e"),
    ],
)
def test_text_is_no_markup(text: str, shown: str) -> None:
    """Neither HTML, nor a link, nor an image, nor a line of its own; and twice is once."""
    assert markdown.plain(text) == markdown.plain(markdown.plain(text)) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lr=0.1", "`lr=0.1`"),
        ("<b>", "`<b>`"),
        ("a`<b>`", "<code>a&#96;&lt;b&gt;&#96;</code>"),
        ("a|b", "<code>a&#124;b</code>"),
        ("a\nb", "`a b`"),
        ("", "<code></code>"),
    ],
)
def test_code_is_not_ended_by_what_it_quotes(text: str, shown: str) -> None:
    """A quote or a pipe within it would end it."""
    assert markdown.code(text) == shown


def test_a_block_is_not_ended_by_what_it_shows() -> None:
    """Its fence is longer than any in it."""
    assert markdown.block(FENCE).splitlines() == ["````", *FENCE.splitlines(), "````"]


def test_a_cell_is_one_cell() -> None:
    """What is ours stays markup, and what is not does not become any."""
    made = Table(("", TAG), [(f"a|b\n{LINK}", markdown.link("out", "jobs/a b.txt"))]).markdown()
    assert made.splitlines()[0] == f"|  | {TAG.replace('<', '&lt;')} |"
    assert made.splitlines()[2] == "| a\\|b [click]&#40;http://x) | [out](jobs/a%20b.txt) |"


def test_a_strangers_page_holds_none_of_their_markup(tmp_path: Path) -> None:
    """Hypothesis, classes, settings and stages come from the run; the page is ours."""
    config = config_of(
        hypothesis=f"{TAG} {LINK}\n\n# said by nobody",
        reference={"source": TAG, "figures": {"accuracy": 0.9}},
        model={"_target_": f"x`{TAG}`", FENCE: FENCE},
    )
    run = classes_run(
        tmp_path, [f"a {TAG}", f"b {LINK}", f"c {FENCE}"], num_epochs=2, config=config
    )
    refresh(run.path, plots=False)
    text = (run.path / "report.md").read_text()
    outside = [line for line in text.splitlines() if "`" not in line]
    assert not [line for line in outside if "<img" in line or "](http" in line]
    assert "# said by nobody" not in text.splitlines()
    assert "&lt;img" in text
    assert text.count("\n```\n") % 2 == 0


def test_what_a_spreadsheet_would_run_is_text(tmp_path: Path) -> None:
    """A stage's name in metrics.csv begins with no formula; numbers below zero stay numbers."""
    run = classes_run(tmp_path, ["clean", "pit"], num_epochs=2)
    lines = [{"stage": "=1+1", "epoch": 1, "train/loss": -0.5, "@x": "+cmd"}]
    run.__dict__["history"] = lines
    from expkit.reports.run.pages import history_table

    (row,) = csv.DictReader(history_table(run).splitlines())
    assert row == {"stage": "'=1+1", "epoch": "1", "train/loss": "-0.5", "'@x": "'+cmd"}
