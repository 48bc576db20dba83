"""The table of runs: a row a run or a job, with a column for each setting and each metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from expkit.reports.runs.recipes import fold_rows, recipes_of, settings_of
from expkit.reports.runs.rows import RunRow

if TYPE_CHECKING:
    import pandas as pd

# the columns that every row has, in `sweep.csv` as in the frame
COLUMNS: Mapping[str, Callable[[RunRow], object]] = {
    "number": lambda row: None if row.job is None else row.job.number,
    "job": lambda row: None if row.job is None else row.job.id,
    "folder": lambda row: row.folder,
    "status": lambda row: row.status,
    "seed": lambda row: row.seed,
    "fold": lambda row: row.fold,
    "judged_split": lambda row: row.judged_split,
    "best_epoch": lambda row: row.best_epoch,
    "epochs": lambda row: row.num_epochs,
    "seconds": lambda row: row.seconds,
    "findings": lambda row: " ".join(row.findings),
    "reason": lambda row: row.reason,
    "overrides": lambda row: " ".join(row.overrides),
}


def runs_frame(rows: Sequence[RunRow]) -> pd.DataFrame:
    """Return a row a run: facts, choices by group, flat settings, and `split/metric` figures.

    Those of one `recipe` are alike but for seed and fold: `frame.groupby("recipe")` folds them. A
    run that was made twice has under `repeats` the place of the row that it repeats.
    """
    import pandas as pd

    folding = fold_rows(rows)
    labels = {id(row): each.label for each in recipes_of(rows, folding) for row in each.rows}
    facts = [
        {
            "recipe": labels[id(row)],
            "repeats": folding.repeats.get(place),
            **{name: read(row) for name, read in COLUMNS.items()},
        }
        for place, row in enumerate(rows)
    ]
    return pd.DataFrame(
        # the facts come first, and no setting of their name takes their place
        {**own, **row.choices, **settings_of(row), **row.figures, **own}
        for own, row in zip(facts, rows, strict=True)
    )
