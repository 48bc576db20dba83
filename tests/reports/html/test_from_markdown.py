"""Our pages' Markdown as HTML."""

from __future__ import annotations

import pytest

from expkit.reports import markdown
from expkit.reports.html.from_markdown import to_html
from expkit.reports.tables import Table

HOSTILE = (
    "<script>alert(1)</script>",
    "</script>",
    '"onmouseover="alert(1)',
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "a | b ` c ** d",
)


def test_each_kind_of_block_becomes_its_element() -> None:
    """A heading, a list, a table with its numbers to the right, code, text, and what is folded."""
    text = (
        "# T\n\n- a\n- **b**\n\n| n | v |\n| --- | --- |\n| x | 1.5 % |\n\n```\n<a>\n```\n\np `c`"
    )
    made = to_html(f"{text}\n\n{markdown.folded('more', 'inside')}")
    assert "<h1>T</h1>" in made
    assert "<ul><li>a</li><li><strong>b</strong></li></ul>" in made
    assert '<table class="sortable n2">' in made
    assert "<td>x<td>1.5 %" in made
    assert "<pre><code>&lt;a&gt;</code></pre>" in made
    assert "<p>p <code>c</code></p>" in made
    assert "<details><summary>more</summary><p>inside</p>" in made


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_others_is_text(text: str) -> None:
    """Whatever writes it into a page: no element, no attribute and no link comes out of it."""
    table = Table((text, "n"), [(text, "1"), (markdown.code(text), "2")]).markdown()
    parts = [markdown.plain(text), markdown.block(text), table, markdown.folded(text, "x"), text]
    made = to_html("\n\n".join(parts))
    for element in ("<script", "<img", "<a "):
        assert element not in made
    assert 'onmouseover="' not in made


def test_links_lead_beside_the_page_or_to_the_web() -> None:
    """Any other scheme is not followed: its text stays."""
    assert to_html("[a](b/c.md)") == '<p><a href="b/c.md">a</a></p>\n'
    assert "<a " not in to_html("[a](javascript:alert)")
    assert "<a " not in to_html("[a](data:text/html,x)")


def test_images_are_those_that_are_found() -> None:
    found = to_html("![curves](plots/a%20b.png)", {"plots/a b.png": "data:x"}.get)
    assert '<img src="data:x" alt="curves"' in found
    assert "<img" not in to_html("![curves](plots/other.png)", {}.get)
