"""The document of `expkit compare`: what differs, the figures, and what they prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from expkit.metrics.names import Measure
from expkit.reports.compare import table as tables
from expkit.reports.compare.changes import Changes
from expkit.reports.compare.comparability import Objection
from expkit.reports.compare.comparison import Compared, Comparison
from expkit.reports.compare.verdicts import Verdict
from expkit.reports.json.difference import DifferenceFigures, difference_figures
from expkit.reports.json.header import Document
from expkit.reports.runs.recipes import Recipe


@dataclass(frozen=True)
class MetricFigures:
    """A recipe's figure of a metric, over its seeds and folds."""

    mean: float | None  # null: not measured
    std: float | None  # null of a single run
    values: Mapping[str, float]  # by seed, or by seed and fold as 0/fold1


@dataclass(frozen=True)
class RecipeFigures:
    """Runs that are alike but for seed and fold."""

    label: str  # A, B, ...
    name: str
    runs: Sequence[str]  # the paths of their folders
    status: Mapping[str, str]  # of each run, by its path
    metrics: Mapping[str, MetricFigures]


@dataclass(frozen=True)
class ChangedSamples:
    """Counts of samples on which the recipe and the baseline differ, of one run of each."""

    fixed: int  # wrong before, right now
    broken: int  # right before, wrong now
    both_wrong: int


@dataclass(frozen=True)
class ComparedRecipe(RecipeFigures):
    """A recipe beside the baseline."""

    verdict: Verdict | None  # by the main metric; null: see not_compared
    not_compared: str | None  # why there is no verdict
    objections: Sequence[Objection]  # against the comparison; those that forbid leave no verdict
    differences: Mapping[str, DifferenceFigures]  # by metric
    changes: ChangedSamples | None  # null where they did not predict the same samples
    about: str | None  # what the test is about, and what is not in it


@dataclass(frozen=True, kw_only=True)
class ComparisonDocument(Document):
    """Recipes beside a baseline."""

    schema: Literal["expkit/comparison"] = "expkit/comparison"
    metric: str  # that the verdicts are about
    metrics: Sequence[str]
    split: str  # that the metric is measured on
    measured_on: str  # in words
    settings: Mapping[str, Mapping[str, Any]]  # that differ: by key, then by label
    baseline: RecipeFigures
    compared: Sequence[ComparedRecipe]
    not_shown: Sequence[RecipeFigures]  # and not tested, as others are better in chosen_by
    chosen_by: str  # the metric in which those that are compared are the best
    left_out: Sequence[str]  # runs that were not measured, or were made twice, and why
    notes: Sequence[str]  # how the tests were done, and what follows the seed
    written: Sequence[str]  # the files that --to asked for


def comparison_document(
    comparison: Comparison,
    left_out: Sequence[str],
    followers: str,
    written: Sequence[Path],
) -> ComparisonDocument:
    """Return a comparison with all of its figures; the screen has room for some."""
    shown = tables.shown_groups(comparison)
    metrics = comparison.metrics
    methods = tables.methods(comparison, metrics)
    judged = comparison.baseline.first.judged_split
    return ComparisonDocument(
        metric=comparison.metric,
        metrics=metrics,
        split=Measure.parse(comparison.metric).split_of(judged),
        measured_on=tables.judged_on(comparison),
        settings=tables.differing_settings(comparison),
        baseline=RecipeFigures(**_figures(comparison.baseline, metrics)),
        compared=[_compared(row, metrics) for row in comparison.rows],
        not_shown=[
            RecipeFigures(**_figures(group, metrics))
            for group in comparison.groups
            if all(group is not each for each in shown)
        ],
        chosen_by=comparison.chosen_by,
        left_out=left_out,
        notes=[*methods, *comparison.abouts, *([followers] if followers else [])],
        written=[str(path) for path in written],
    )


def _compared(row: Compared, metrics: Sequence[str]) -> ComparedRecipe:
    return ComparedRecipe(
        **_figures(row.group, metrics),
        verdict=row.verdict,
        not_compared=None if row.verdict is not None else tables.why_not(row),
        objections=row.objections,
        differences={name: difference_figures(each) for name, each in row.differences.items()},
        changes=None if row.changes is None else _counts(row.changes),
        about=None if row.verdict is None else row.about,
    )


def _figures(group: Recipe, metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "label": group.label,
        "name": group.name,
        "runs": [str(row.path) for row in group.draws],
        "status": {str(row.path): row.status for row in group.draws},
        "metrics": {metric: _metric(group, metric) for metric in metrics},
    }


def _metric(group: Recipe, metric: str) -> MetricFigures:
    names = {row.draw: row.draw_name for row in group.draws}
    values = {names[draw]: value for draw, value in group.figures(metric).items()}
    return MetricFigures(group.mean_of(metric), group.std_of(metric), values)


def _counts(changes: Changes) -> ChangedSamples:
    fixed, broken = (len(changes.where(kind)) for kind in ("fixed", "broken"))
    return ChangedSamples(fixed, broken, len(changes.where("both wrong")))
