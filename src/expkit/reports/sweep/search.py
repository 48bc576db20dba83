"""A search's trials: how each fares while it runs, and which was the best."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from expkit.metrics.names import Measure, is_lower_better
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import FAILURES
from expkit.reports import formatting
from expkit.reports.runs.recipes import measured
from expkit.reports.runs.rows import RunRow, read_jobs


def course(run: Run, objective: str) -> list[float]:
    """The objective in the history, an epoch of training after the other.

    Of a metric that no epoch measures, what is better on the same side: accuracy, or the loss.
    """
    measure = Measure.parse(objective)
    split = measure.split
    if split not in ("train", "val"):
        split = run.dataset_as_read.monitored_split
    nearest = "loss" if is_lower_better(objective) else "accuracy"
    procedure = run.config["procedure"]
    trained = [
        record
        for record in run.history
        if str(procedure[record["stage"]]["_target_"]).endswith(".Training")
    ]
    for key in (f"{split}/{measure.metric}", f"{split}/{nearest}"):
        if trained and all(key in record for record in trained):
            return [float(record[key]) for record in trained]
    return []


def search_lines(sweep: Sweep) -> list[str]:
    """The best trial and how to run it again, for the screen; nothing of another sweep."""
    if not sweep.is_search:
        return []
    rows = read_jobs(sweep)
    objective = measured(sweep.objective, rows)
    best = best_row(rows, sweep.objective)
    if best is None:
        return [f"search   no trial of {len(rows)} has a figure for {objective}"]
    shown = formatting.figure(objective, best.figure(sweep.objective))
    return [
        f"best     trial {best.number} of {len(rows)}: {objective} {shown}{_others(rows)}",
        f"again    {command(best)}",
    ]


def best_row(rows: Sequence[RunRow], objective: str) -> RunRow | None:
    """Among the trials that came to their end; the first of equals."""
    sign = 1 if is_lower_better(objective) else -1
    known = [
        (sign * value, row.number, row)
        for row in rows
        if (value := row.figure(objective)) is not None and row.status != "pruned"
    ]
    return min(known, default=(0, 0, None))[2]


def command(row: RunRow) -> str:
    """It gives the same numbers again: a run is its words."""
    words = [
        word.removesuffix("=null") if word.startswith("~") else word  # as Hydra spells a deletion
        for word in row.overrides
        if not word.startswith(("launcher", "sweep."))
    ]
    return shlex.join(["expkit", "train", *words])


def _others(rows: Sequence[RunRow]) -> str:
    counts = Counter("failed" if row.status in FAILURES else row.status for row in rows)
    told = [f"{counts[each]} {each}" for each in ("pruned", "failed") if counts[each]]
    return f" ({', '.join(told)})" if told else ""
