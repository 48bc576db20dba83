"""sweep.csv: a row a job, written anew whenever one ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from expkit.records.csv_cells import csv_text
from expkit.records.files import write_aside
from expkit.records.sweep.folder import Sweep
from expkit.reports.runs.rows import RunRow, read_job, read_jobs
from expkit.reports.runs.runs_frame import COLUMNS
from expkit.reports.runs.settings import Variation, shown

FIRST = ("number", "job", "status", "seed")
LAST = ("best_epoch", "epochs", "findings", "seconds", "folder", "reason", "overrides")


class SweepTable:
    """Remembers what it has read, so that a job that ends costs one job's reading."""

    def __init__(self, sweep: Sweep, rows: Sequence[RunRow]) -> None:
        self._path = sweep.path / "sweep.csv"
        self._jobs = sweep.by_id
        self._variation = Variation.of(sweep.jobs)
        self._rows = {row.job.id: row for row in rows if row.job is not None}
        self._figures = {job: row.figures for job, row in self._rows.items()}
        self._lines: dict[str, str] = {}
        self._metrics: list[str] = []

    @classmethod
    def read(cls, path: Path) -> SweepTable:
        sweep = Sweep(path)
        return cls(sweep, read_jobs(sweep))

    def update(self, job: str) -> None:
        """Read one job again, and write the table."""
        self._rows[job] = row = read_job(self._jobs[job].again(), self._variation)
        self._figures[job] = row.figures
        self._lines.pop(job, None)
        self.write()

    def write(self) -> None:
        """A metric that no row had before is a column more, for which all lines are made anew."""
        metrics = list(dict.fromkeys(chain.from_iterable(self._figures.values())))
        if metrics != self._metrics:
            self._metrics, self._lines = metrics, {}
        for job, row in self._rows.items():
            if job not in self._lines:
                self._lines[job] = csv_text([self._cells(row, self._figures[job])])
        header = csv_text([[*FIRST, *self._variation.keys, *metrics, *LAST]])
        write_aside(
            self._path, "".join([header, *(self._lines[job] for job in self._rows)]).encode()
        )

    def _cells(self, row: RunRow, figures: Mapping[str, float | None]) -> list[object]:
        return [
            *(COLUMNS[name](row) for name in FIRST),
            *(shown(row.settings[key]) for key in self._variation.keys),
            *(figures.get(metric) for metric in self._metrics),
            *(COLUMNS[name](row) for name in LAST),
        ]
