"""Many runs as one table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.api.frames import cleaned
from expkit.api.run import Run
from expkit.api.screens import one_screen
from expkit.errors import UserError
from expkit.records.find_runs import find_runs
from expkit.records.run.reader import Run as Records
from expkit.reports.compare.filter import keep_where
from expkit.reports.runs.rows import RunRow, read_run

if TYPE_CHECKING:
    import pandas as pd

Named = str | Path | Run


@one_screen
def load_runs(
    runs: Named | Iterable[Named] = "outputs", *, where: str | Iterable[str] = ()
) -> pd.DataFrame:
    """Return a row a run: its folder and status, its settings, and its figures by `split/metric`.

    `runs` is a folder of runs, a sweep, a run, a glob, or several of these. `where` is a condition
    of `--where`, as "model=resnet18", or several. A run that cannot be read has the reason.
    """
    words = words_of(runs)
    rows = [_row(run) for run in find_runs(words)]
    readable = [row for row in rows if row.status != "unreadable"]
    conditions = [where] if isinstance(where, str) else list(where)
    if conditions:
        rows = keep_where(readable, conditions)
    from expkit.reports.runs.runs_frame import runs_frame

    frame = runs_frame(rows)
    frame.insert(1, "path", [str(row.path) for row in rows])
    for column in frame.select_dtypes(exclude="number").columns:
        frame[column] = [cleaned(each) for each in frame[column]]
    return frame.rename(columns=cleaned)


def words_of(runs: Named | Iterable[Named]) -> list[str]:
    """Return the words by which commands know these runs."""
    several = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    if not several:
        raise UserError("no runs were named", where="an empty list", fix='"outputs", or a glob')
    return [str(each.path if isinstance(each, Run) else each) for each in several]


def _row(run: Records) -> RunRow:
    """The row of a run, or of what stands in its place where it cannot be read."""
    try:
        return read_run(run)
    except UserError as error:
        return RunRow(run.path, "unreadable", 0, None, (), {}, reason=error.what)
