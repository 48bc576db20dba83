"""Pieces of HTML for a notebook's cell: escaped, and in the colours of whatever theme it has."""

from __future__ import annotations

import html
from collections.abc import Sequence

from expkit.errors import UserError
from expkit.sanitize import clean, one_line

# borders are half-transparent and text takes the notebook's colour: light and dark need no more
LINE = "1px solid rgba(128,128,128,.35)"
CELL = f"padding:2px 14px 2px 0;border:0;border-bottom:{LINE};text-align:left;background:none"
COLORS = {"good": "#1f9d63", "bad": "#e05242", "open": "#8a8a8a"}  # 3 : 1 on white and on black


def text(value: str) -> str:
    """Return a name or a sentence as text, whatever it holds."""
    return html.escape(one_line(value))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are plain text; empty without rows."""
    if not rows:
        return ""
    head = "".join(f'<th style="{CELL};font-weight:600">{text(each)}</th>' for each in header)
    body = "".join(
        f'<tr style="background:none">{"".join(_cell(cell) for cell in row)}</tr>' for row in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:4px 0 8px;'
        f'font-size:13px;color:inherit"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell(cell: str) -> str:
    return f'<td style="{CELL};vertical-align:top">{text(cell)}</td>'


def mark(word: str, kind: str) -> str:
    """Return a word in a frame: `good`, `bad` or `open`."""
    color = COLORS[kind]
    return (
        f'<span style="border:1px solid {color};color:{color};border-radius:3px;padding:0 6px;'
        f'font-size:12px;white-space:nowrap">{text(word)}</span>'
    )


def paragraph(*parts: str) -> str:
    """Return pieces of HTML as a paragraph."""
    return f'<div style="margin:3px 0">{" ".join(parts)}</div>'


def folded(summary: str, content: str) -> str:
    """Return what is shown when it is clicked on; empty without content."""
    if not content:
        return ""
    head = f'<summary style="cursor:pointer">{text(summary)}</summary>'
    return f'<details style="margin:3px 0">{head}{content}</details>'


def block(lines: str) -> str:
    """Return lines as they stand in a terminal."""
    return (
        '<pre style="margin:4px 0;background:none;color:inherit;font-size:12px;'
        f'white-space:pre-wrap">{html.escape(clean(lines))}</pre>'
    )


def box(*parts: str) -> str:
    """Return the whole that a cell shows."""
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.5;'
        f'max-width:960px;color:inherit">{"".join(parts)}</div>'
    )


def refused(error: UserError) -> str:
    """Return the screen of a refusal, in place of what could not be shown."""
    return block(error.screen())
