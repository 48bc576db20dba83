"""A comparison on one screen of the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from expkit.metrics.names import Measure
from expkit.reports.compare import table as tables
from expkit.reports.compare.changes import KINDS, Kind
from expkit.reports.compare.comparison import Compared, Comparison
from expkit.reports.runs.recipes import Recipe
from expkit.reports.tables import Table

WIDTH = 99
MAX_CELL = 26
MAX_SETTINGS = 10  # rows or columns of what differs; compare.md has all
MAX_FIGURES = 16  # lines of metrics
CHANGED: tuple[Kind, ...] = ("fixed", "broken")  # columns where there are many recipes
FEW = 4  # recipes that have a column each, and a sentence on their samples


def comparison_screen(comparison: Comparison) -> str:
    """Write what was compared, what differs, the figures, and what they prove."""
    parts = [
        *([_runs(comparison)] if _are_few(comparison) else []),
        _settings(comparison),
        _figures(comparison),
        _answers(comparison),
        _notes(comparison),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _are_few(comparison: Comparison) -> bool:
    return len(comparison.rows) < FEW


def _runs(comparison: Comparison) -> list[str]:
    return [f"{group.label}  {name}" for group, name in _named(comparison)]


def _named(comparison: Comparison) -> list[tuple[Recipe, str]]:
    groups = tables.shown_groups(comparison)
    marks = [" (baseline)", *[""] * len(comparison.rows)]
    return [(group, group.name + mark) for group, mark in zip(groups, marks, strict=True)]


def _settings(comparison: Comparison) -> list[str]:
    table = tables.settings_table(comparison)
    num_settings = len(table.header) - 1
    table = table.columns(range(len(table.header))[: MAX_SETTINGS + 1])
    above = "" if _are_few(comparison) else "procedure."  # columns are wide: more have room
    keys = [_cut(key.removeprefix(above), in_middle=False) for key in table.header]
    table = Table(keys, [[_cut(cell) for cell in row] for row in table.rows])
    num_shown = len(keys) - 1
    if _are_few(comparison):  # a column each
        if not num_shown:
            return ["The settings are the same in all of them."]
        lines = table.turned().blocks(WIDTH)
    else:
        rows = zip(table.rows, _named(comparison), strict=True)
        named = [[row[0], name, *row[1:]] for row, (_, name) in rows]
        fitting = Table([keys[0], "run", *keys[1:]], named).fitting(WIDTH)
        num_shown = len(fitting.header) - 2
        lines = fitting.lines()
    if num_hidden := num_settings - num_shown:
        differ = "setting differs" if num_hidden == 1 else "settings differ"
        lines.append(f"{num_hidden} more {differ}: --to FOLDER writes all")
    if comparison.num_hidden:
        lines += _wrapped(f"{tables.hidden(comparison)}; --to FOLDER writes all")
    return lines


def _cut(cell: str, *, in_middle: bool = True) -> str:
    """A cell that leaves room for others, and is seen to be cut; a key's end tells most.

    Values that differ at their start or at their end alone still do.
    """
    if len(cell) <= MAX_CELL:
        return cell
    start = MAX_CELL // 2 if in_middle else 0
    return f"{cell[:start]}…{cell[start + 1 - MAX_CELL :]}"


def _figures(comparison: Comparison) -> list[str]:
    kept = _kept_metrics(comparison)
    table = tables.figures_table(comparison, kept)
    if not _are_few(comparison):
        cells = _changes_cells(comparison)
        cells += [[""] * len(CHANGED)] * (len(table.rows) - len(cells))
        rows = [[*row, *more] for row, more in zip(table.rows, cells, strict=True)]
        table = Table([*table.header, *CHANGED], rows).fitting(WIDTH)
    return [f"{tables.judged_on(comparison)}:", *table.lines(), *_unshown(comparison, kept)]


def _kept_metrics(comparison: Comparison) -> list[str]:
    """So many that their lines fit a screen, and one at the least."""
    metrics = tables.main_metrics(comparison)
    return metrics[: max(1, MAX_FIGURES // (len(comparison.rows) + 1))]


def _unshown(comparison: Comparison, shown: Sequence[str]) -> list[str]:
    """The metrics that there is no room for: their names where there is room for these."""
    names = [name for name in comparison.metrics if name not in shown]
    if not names:
        return []
    told = ", ".join(names) if _are_few(comparison) else f"{len(names)} more metrics"
    return _wrapped(f"with --to FOLDER also: {told}")


def _changes_cells(comparison: Comparison) -> list[list[str]]:
    """Beside the rows of the first metric; the others' have none."""
    cells = [[""] * len(CHANGED)]  # of the baseline
    for row in comparison.rows:
        changes = row.changes
        cells.append(["" if changes is None else str(len(changes.where(kind))) for kind in CHANGED])
    return cells


def _answers(comparison: Comparison) -> list[str]:
    label = comparison.baseline.label
    lines = [f"Is {comparison.metric} better than with {label}?"]
    width = max(len(row.group.label) for row in comparison.rows) + 2
    for row in comparison.rows:
        lines += _labelled(row.group.label, tables.answer(row), width)
        if row.changes is not None and _are_few(comparison):
            of = "all samples" if Measure.parse(comparison.metric).class_name else "samples"
            lines.append(f"{'':{width}}{of}: {_changes(row)}")
    return lines


def _changes(row: Compared) -> str:
    assert row.changes is not None
    counts = ", ".join(f"{kind} {len(row.changes.where(kind))}" for kind in KINDS)
    several = len(row.group.draws) > 1
    of = f" (the run with {row.changes_of[0].draw_words})" if several and row.changes_of else ""
    return f"{counts}{of}"


def _notes(comparison: Comparison) -> list[str]:
    lines = []
    for sentence in tables.methods(comparison, _kept_metrics(comparison)):
        lines += _wrapped(sentence)
    for text, labels in tables.doubts(comparison).items():
        lines += _wrapped(f"warning: {', '.join(labels)}: {text}")
    for sentence in comparison.abouts:
        lines += _wrapped(sentence)
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


def _labelled(label: str, text: str, width: int) -> list[str]:
    first, *rest = textwrap.wrap(text, WIDTH - width, break_on_hyphens=False)
    return [f"{label:<{width}}{first}", *(f"{'':{width}}{line}" for line in rest)]
