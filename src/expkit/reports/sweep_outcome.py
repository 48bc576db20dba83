"""What a sweep came to, for its table, its page and its screen alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from expkit.errors import UserError
from expkit.records.measures import Measure
from expkit.records.run import Run
from expkit.records.sweep import Sweep
from expkit.reports import wording
from expkit.reports.summary import Summary, recall
from expkit.reports.sweep_groups import Group, fold, measured, spread
from expkit.reports.sweep_rows import Row, read_rows
from expkit.reports.variation import describe_settings


@dataclass(frozen=True)
class SweepOutcome:
    """Its rows, read once, and what follows from them."""

    sweep: Sweep
    rows: Sequence[Row]

    @classmethod
    def of(cls, path: Path) -> SweepOutcome:
        sweep = Sweep(path)
        return cls(sweep, read_rows(sweep))

    @cached_property
    def objective(self) -> str:
        """With the split that it was measured on."""
        return measured(self.sweep.objective, self.rows)

    @cached_property
    def groups(self) -> list[Group]:
        """The best first."""
        return fold(self.rows, self.objective)

    @property
    def best(self) -> Group | None:
        return self.groups[0] if self.groups and self.groups[0].values else None

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.is_failed]

    @cached_property
    def best_summary(self) -> Summary | None:
        """Of a run of the best setting; it tells what nets that know nothing reach."""
        runs = [row.run for row in (self.best.judged if self.best else ())]
        try:
            return recall(Run(runs[0])) if runs and runs[0] is not None else None
        except UserError:
            return None

    @property
    def levels(self) -> Mapping[str, float]:
        """By name; of the judged split alone, as only that is recorded."""
        measure, summary = Measure.parse(self.objective), self.best_summary
        if summary is None or measure.class_name is not None:
            return {}
        if any(row.judged_split not in ("", measure.split) for row in self.rows):
            return {}
        found = (summary["levels"][kind].get(measure.metric) for kind in ("chance", "constant"))
        names = wording.level_names(summary)
        return {name: at for name, at in zip(names, found, strict=True) if at is not None}

    def figure(self, value: float) -> str:
        return wording.figure(self.objective, value)

    def counts(self) -> str:
        """`12 jobs: 11 finished, 1 raised`."""
        counts = Counter(row.status for row in self.rows)
        parts = [f"{count} {status}" for status, count in counts.most_common()]
        return f"{len(self.rows)} job{'' if len(self.rows) == 1 else 's'}: {', '.join(parts)}"

    def headline(self) -> str:
        """The best setting and its figure, with what knows nothing beside it."""
        if self.best is None:
            known = dict.fromkeys(name for row in self.rows for name in row.metrics)
            there_are = f"; there are {', '.join(known)}" if known else ""
            return f"no job has a figure of {self.objective}{there_are}"
        name = describe_settings(self.best.settings) or "the one setting"
        seeds = len(self.best.values)
        count = f" ({seeds} seeds)" if seeds > 1 else ""
        levels = "".join(f"; {name} {self.figure(at)}" for name, at in self.levels.items())
        figure = f"{self.objective} {spread(self.best, self.objective)}"
        return f"{name}: {figure}{count}{self._equals()}{levels}"

    def _equals(self) -> str:
        """The first of equals is not better than they are."""
        assert self.best is not None
        count = sum(group.mean == self.best.mean for group in self.groups) - 1
        return f"; as good as {count} other setting{'s' * (count > 1)}" if count else ""
