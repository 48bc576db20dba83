"""The outcome of a sweep, for its table, its page and its screen alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from expkit.errors import UserError
from expkit.metrics.names import Measure
from expkit.records.run.reader import Run
from expkit.records.seed_groups import Folding
from expkit.records.sweep.folder import Sweep
from expkit.reports import formatting
from expkit.reports.run.summary import Summary, recall
from expkit.reports.runs.recipes import Recipe, fold_rows, measured, ranked
from expkit.reports.runs.rows import RunRow, read_jobs
from expkit.reports.runs.settings import BASE, CHANGE, describe_settings
from expkit.reports.sweep.ablation import AblationResult, measure_ablation
from expkit.reports.sweep.ablation_verdict import AblationVerdict, judge_hypothesis


@dataclass(frozen=True, eq=False)
class SweepOutcome:
    """Its rows, read once, and what follows from them; two of one sweep are two readings."""

    sweep: Sweep
    rows: Sequence[RunRow]

    @classmethod
    def of(cls, path: Path) -> SweepOutcome:
        sweep = Sweep(path)
        return cls(sweep, read_jobs(sweep))

    @cached_property
    def objective(self) -> str:
        """With the split that it was measured on."""
        return measured(self.sweep.objective, self.rows)

    @cached_property
    def groups(self) -> list[Recipe]:
        """The best first."""
        return ranked(self.rows, self.folding, self.sweep.objective)

    @cached_property
    def folding(self) -> Folding:
        """Tell which jobs are one recipe, as a comparison of their runs folds them, too."""
        return fold_rows(self.rows)

    @cached_property
    def known(self) -> list[Recipe]:
        """Those with a figure."""
        return [group for group in self.groups if group.values]

    @cached_property
    def ablation(self) -> AblationResult | None:
        """The worth of each change of a recipe, where the sweep asks for it."""
        return measure_ablation(self.rows, self.sweep.objective)

    @cached_property
    def hypothesis(self) -> AblationVerdict | None:
        """The verdict on an ablation's claims, where any was stated."""
        stated = self.sweep.metadata.get("claims")
        return None if self.ablation is None else judge_hypothesis(self.ablation, stated)

    @property
    def is_choice(self) -> bool:
        """Tell whether there are settings to choose from: not of seeds, folds, or an ablation."""
        return len(self.known) > 1 and self.ablation is None

    @property
    def recipe(self) -> Recipe | None:
        """The recipe that an ablation changes."""
        return next((each for each in self.known if each.settings.get(CHANGE) == BASE), None)

    @property
    def best(self) -> Recipe | None:
        return self.groups[0] if self.groups and self.groups[0].values else None

    @property
    def failed(self) -> list[RunRow]:
        return [row for row in self.rows if row.is_failed]

    @cached_property
    def best_summary(self) -> Summary | None:
        """The summary of a run of the best setting, with the baselines."""
        runs = [row.path for row in (self.best.judged if self.best else ())]
        try:
            return recall(Run(runs[0])) if runs and runs[0] is not None else None
        except UserError:
            return None

    @property
    def levels(self) -> Mapping[str, float]:
        """The levels by name; of another split than the judged one the accuracy's alone."""
        measure, summary = Measure.parse(self.objective), self.best_summary
        if summary is None or measure.class_name is not None:
            return {}
        if any(row.judged_split not in ("", measure.split) for row in self.rows):
            return self._levels_of_counts(measure)
        found = (summary["levels"][kind].get(measure.metric) for kind in ("chance", "constant"))
        names = formatting.level_names(summary)
        return {name: at for name, at in zip(names, found, strict=True) if at is not None}

    def _levels_of_counts(self, measure: Measure) -> Mapping[str, float]:
        """Chance and the largest class, told by the numbers of samples of each class."""
        run = self.best.judged[0].path if self.best else None
        if run is None or measure.metric != "accuracy":
            return {}
        try:
            metadata = Run(run).dataset
        except UserError:
            return {}
        if measure.split not in metadata.splits:
            return {}
        found = metadata.chance_accuracy, metadata.majority_accuracy(measure.split)
        names = ("chance", "largest class")
        return {name: at for name, at in zip(names, found, strict=True) if at is not None}

    def figure(self, value: float) -> str:
        return formatting.figure(self.objective, value)

    def counts(self) -> str:
        """`12 jobs: 11 finished, 1 raised`."""
        counts = Counter(row.status for row in self.rows)
        parts = [f"{count} {status}" for status, count in counts.most_common()]
        return f"{len(self.rows)} job{'' if len(self.rows) == 1 else 's'}: {', '.join(parts)}"

    def headline(self) -> str:
        """The best setting and its figure, with what knows nothing beside it."""
        if self.best is None:
            return self._nothing()
        name = describe_settings(self.best.settings)
        start = f"Best: {name}: " if self.is_choice else f"{name}: " if name else ""
        count = f" ({self.best.unit})" if len(self.best.values) > 1 else ""
        levels = "".join(f"; {name} {self.figure(at)}" for name, at in self.levels.items())
        figure = f"{self.objective} {self.best.in_words(self.objective)}"
        return f"{start}{figure}{count}{self._equals()}{levels}"

    def _nothing(self) -> str:
        """Gates alone have no figure, and are told by what passed them."""
        known = dict.fromkeys(name for row in self.rows for name in row.figures)
        ended = [row for row in self.rows if row.path is not None and row.is_done]
        if known or not ended:
            there_are = f"; there are {', '.join(known)}" if known else ""
            return f"no job has a figure of {self.objective}{there_are}"
        passed = sum(not row.is_failed for row in ended)
        return (
            f"{passed} of {len(self.rows)} jobs passed every stage; none of these measures a figure"
        )

    def _equals(self) -> str:
        """The first of equals is not better than they are."""
        assert self.best is not None
        count = sum(group.mean == self.best.mean for group in self.groups) - 1
        return f"; as good as {count} other setting{'s' * (count > 1)}" if count else ""
