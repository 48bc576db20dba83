"""The outcome of a sweep, on one screen of the terminal."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from expkit.reports.run.run_screen import WIDTH, handle, labelled, short
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.settings import brief, short_key
from expkit.reports.sweep.caveats import answers_of_ablation, told_of
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.tables import Table

MAX_ROWS = 10
MAX_FAILURES = 6
MAX_CELL = 28


def closing_screen(outcome: SweepOutcome, *, is_running: bool = False) -> str:
    """The folded table, failures, honest words, and where to go on."""
    path = outcome.sweep.path
    lines = [
        f"{outcome.sweep.name}: {outcome.counts()}",
        *_table(outcome),
        *_failures(outcome),
        *_paragraphs(answers_of_ablation(outcome)),
        *_paragraphs(told_of(outcome)),
        f"  {'folder':<8} {short(path)}",
        *([_pages(path)] if (path / "sweep.md").exists() else []),
        f"  {'next':<8} {next_command(outcome, is_running=is_running)}",
    ]
    return "\n".join(lines)


def _pages(path: Path) -> str:
    """No folder is named that is not there."""
    pages = [each for each in ("sweep.html", "sweep.md") if (path / each).exists()]
    has_plots = next((path / "plots").glob("*"), None) is not None
    last = "plots/" if has_plots else "sweep.csv"
    pages += ["sweep.csv"] * has_plots
    return f"  {'pages':<8} {', '.join(pages)} and {last} in that folder"


def next_command(outcome: SweepOutcome, *, is_running: bool) -> str:
    """The command that brings a sweep on, or that says more of what came of it."""
    name = handle(outcome.sweep.path)
    if is_running:
        return f"expkit show {name}   (on a terminal: live)"
    if any(not row.is_done for row in outcome.rows):
        return f"expkit resume {name}"
    failed = next((row.path for row in outcome.failed if row.path is not None), None)
    if failed is not None:
        return f"expkit diagnose {handle(failed)}"
    if not outcome.is_choice and (outcome.best is None or outcome.best.num_folds):
        return f"expkit report {name}"
    if len(outcome.rows) == 1:
        return f"expkit report {name}"
    judged = {row.judged_split for row in outcome.rows} - {""}
    metric = (
        ""
        if outcome.objective.partition("/")[0] in judged
        else f" --metric {shlex.quote(outcome.objective)}"
    )
    return f"expkit compare {name}{metric}"


def _table(outcome: SweepOutcome) -> list[str]:
    groups = outcome.known
    if not groups:
        return _outcomes(outcome) if any(row.is_done for row in outcome.rows) else []
    keys = list(groups[0].settings)
    header = [short_key(key, keys) for key in keys]
    rows = [_row(group, outcome.objective) for group in groups[:MAX_ROWS]]
    lines = Table([*header, outcome.objective, "n", "findings"], rows).lines()
    levels = ", ".join(f"{name} {outcome.figure(level)}" for name, level in outcome.levels.items())
    beside = [f"  {'beside':<8} {levels}"] if levels else []
    more = len(groups) - MAX_ROWS
    told = [f"         ... and {more} more in sweep.csv"] if more > 0 else []
    marks = ["         "]
    marks += [
        f"  {'best' * (outcome.is_choice and group.mean == groups[0].mean):<7}"
        for group in groups[:MAX_ROWS]
    ]
    return [f"{mark}{line}" for mark, line in zip(marks, lines, strict=True)] + told + beside


def _outcomes(outcome: SweepOutcome) -> list[str]:
    """List the jobs that passed where none has a figure, each with its last word."""
    passed = [row for row in outcome.rows if row.is_done and not row.is_failed and row.reason]
    lines = []
    for row in passed[:MAX_ROWS]:
        text = f"#{row.number} {row.asked}: {row.reason}"
        lines += textwrap.wrap(text, WIDTH, initial_indent="  PASS   ", subsequent_indent=" " * 9)
    more = len(passed) - MAX_ROWS
    lines += [f"         ... and {more} more passed: sweep.csv"] if more > 0 else []
    return [*_paragraphs([outcome.headline()]), *lines]


def _row(group: Recipe, objective: str) -> list[str]:
    values = [_cut(brief(value)) for value in group.settings.values()]
    counted = ", ".join(f"{name} {count}" for name, count in group.findings.most_common(2))
    return [*values, group.in_words(objective), str(len(group.values)), counted]


def _cut(cell: str) -> str:
    """A name without a space keeps its start, too."""
    words = " ".join(cell.split())
    return words if len(words) <= MAX_CELL else f"{words[: MAX_CELL - 1]}…"


def _failures(outcome: SweepOutcome) -> list[str]:
    lines = []
    for row in outcome.failed[:MAX_FAILURES]:
        label = row.asked
        text = f"#{row.number} {label}: {row.failure}"
        lines += textwrap.wrap(text, WIDTH, initial_indent="  FAIL   ", subsequent_indent=" " * 9)
        lines.append(f"         see {short(row.output)}")
    more = len(outcome.failed) - MAX_FAILURES
    return [*lines, f"         ... and {more} more failed: sweep.md"] if more > 0 else lines


def _paragraphs(sentences: Sequence[str]) -> list[str]:
    return [line for sentence in sentences for line in labelled("note", sentence)]
