"""A comparison on one screen of the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from expkit.reports import compared_table as tables
from expkit.reports.changes import KINDS
from expkit.reports.compared import Compared, Comparison
from expkit.reports.verdicts import ONE_SEED_EACH

WIDTH = 99
MAX_CELL = 26
MAX_SETTINGS = 10  # rows or columns of what differs; compare.md has all
MAX_FIGURES = 20  # lines of metrics


def comparison_screen(comparison: Comparison) -> str:
    """What was compared, what differs, the figures, and what they prove."""
    parts = [
        _runs(comparison),
        _settings(comparison),
        _figures(comparison),
        _answers(comparison),
        _notes(comparison),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _runs(comparison: Comparison) -> list[str]:
    lines = []
    for group in tables.shown_groups(comparison):
        mark = "  (baseline)" if group is comparison.baseline else ""
        lines.append(f"{group.label}  {group.name}{mark}")
    if comparison.num_hidden:
        lines += _wrapped(
            f"{comparison.num_hidden} of {len(comparison.groups)} are not shown: these are the "
            f"best in {comparison.metric}, and the baseline"
        )
    return lines


def _settings(comparison: Comparison) -> list[str]:
    rows = tables.settings_table(comparison)
    if not rows[0][1:]:
        return ["The settings are the same in all of them."]
    num_hidden = len(rows[0]) - 1 - MAX_SETTINGS
    rows = [row[: MAX_SETTINGS + 1] for row in rows]
    if len(rows) <= 5:  # few runs: a column each
        rows = [list(row) for row in zip(*rows, strict=True)]
    lines = aligned(_fitting(rows))
    if num_hidden > 0:
        lines.append(f"{num_hidden} more settings differ: --to FOLDER writes all")
    return lines


def _fitting(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """So many columns as the screen has room for."""
    cut = [[shortened(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in cut) + 2 for index in range(len(cut[0]))]
    kept = max(2, sum(sum(widths[: index + 1]) <= WIDTH for index in range(len(widths))))
    return [row[:kept] for row in cut]


def shortened(cell: str) -> str:
    """A cell cut so that its table has room for more, and seen to be cut."""
    if len(cell) <= MAX_CELL:
        return cell
    return f"{cell[: MAX_CELL - 1]}…"


def _figures(comparison: Comparison) -> list[str]:
    metrics = tables.main_metrics(comparison)
    num_groups = len(comparison.rows) + 1
    kept = metrics[: max(1, MAX_FIGURES // num_groups)]
    header, *rows = tables.figures_table(comparison, kept)
    return [f"{tables.judged_on(comparison)}:", *aligned([header, *rows])]


def _answers(comparison: Comparison) -> list[str]:
    lines = [f"Is {comparison.metric} better than with {comparison.baseline.label}?"]
    for row in comparison.rows:
        lines += _labelled(row.group.label, tables.answer(row))
        if row.changes is not None:
            lines.append(f"   {_changes(row)}")
    count = sum(row.verdict is not None for row in comparison.rows) + comparison.num_hidden
    if count > 1:
        label = comparison.baseline.label
        lines += _wrapped(f"p is after Holm's correction for {count} comparisons with {label}")
    return lines


def _changes(row: Compared) -> str:
    assert row.changes is not None
    counts = ", ".join(f"{kind} {len(row.changes.where(kind))}" for kind in KINDS)
    several = len(row.group.members) > 1
    seed = f" (the run with seed {row.changes_of[0].seed})" if several and row.changes_of else ""
    return f"samples: {counts}{seed}"


def _notes(comparison: Comparison) -> list[str]:
    lines = []
    for text, labels in tables.doubts(comparison).items():
        lines += _wrapped(f"warning: {', '.join(labels)}: {text}")
    tested = [row for row in comparison.rows if row.verdict is not None]
    if any(not row.is_over_seeds for row in tested):
        lines += _wrapped(ONE_SEED_EACH)
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = textwrap.wrap(text, WIDTH - 3, break_on_hyphens=False)
    return [f"{label:<3}{first}", *(f"   {line}" for line in rest)]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of cells as lines of a terminal."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
