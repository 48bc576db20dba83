"""The runs that can be compared: those with figures, each that was made twice once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.errors import UserError
from expkit.records.run.reader import Run
from expkit.records.run.writer import is_locked
from expkit.records.seed_groups import Folding
from expkit.reports.runs.recipes import fold_rows
from expkit.reports.runs.rows import RunRow, read_run

MAX_SAID = 200  # characters of what was typed: a shell may have written out a glob
MAX_LISTED = 3  # runs that are left out, by name


def read_rows(runs: Sequence[Run], words: Sequence[str]) -> tuple[list[RunRow], list[str]]:
    """Those that were measured, and lines on those that were not; refused where none was."""
    rows, reasons = [], dict[str, list[str]]()
    for run in runs:
        try:
            row = read_run(run)
        except UserError as error:
            reason = error.what.replace(f"'{run.name}' ", "")
            if is_locked(run.path):
                reason = "running, and nothing is measured yet"
            reasons.setdefault(reason, []).append(run.name)
            continue
        if row.metrics:
            rows.append(row)
        else:
            reason = f"{row.status}, without predictions"
            reasons.setdefault(reason, []).append(run.name)
    lines = [f"{listed(names)}: {reason}" for reason, names in reasons.items()]
    if not rows:
        raise UserError(
            "none of these runs has predictions to compare",
            where=" ".join(words)[:MAX_SAID],
            allowed="\n".join(lines),
            fix="let them come to their end, or evaluate them: expkit evaluate RUN",
        )
    return rows, lines


def without_repetitions(
    rows: Sequence[RunRow], baseline: Path | None
) -> tuple[list[RunRow], list[str], Folding]:
    """Count a run that was made twice once, as the baseline where it is that; what is left out.

    With the folding of those that stay, which of thousands is not to be done twice.
    """
    ordered = list(rows)
    if baseline is not None:
        ordered.sort(key=lambda each: each.run.path.resolve() != baseline)
    found = fold_rows(ordered)
    repeats = found.repeats
    lines = [
        f"{ordered[again].folder}: a repetition of {ordered[once].folder} "
        "(the same settings, seed and code)"
        for again, once in repeats.items()
    ]
    left_out = {ordered[again].path for again in repeats}
    kept = [each for each in rows if each.path not in left_out]
    return kept, lines, found if kept == ordered else fold_rows(kept)


def listed(names: Sequence[str]) -> str:
    """Write the first names, and how many more there are."""
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
