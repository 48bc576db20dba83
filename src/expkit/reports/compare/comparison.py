"""Recipes beside a baseline: the differences that their records prove, and those that they do not.

A recipe with one run is tested on its predictions; one with several seeds, over these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from expkit.metrics.names import Measure, is_lower_better
from expkit.metrics.predictions import Predictions
from expkit.metrics.seed_differences import difference_over_seeds
from expkit.metrics.significance import Difference, adjust, differences_on_samples
from expkit.reports.compare.changes import Changes, are_same_samples, changes_between
from expkit.reports.compare.comparability import Objection, objections
from expkit.reports.compare.verdicts import (
    FOLDS_OVERLAP,
    ONE_SEED_EACH,
    OVER_SEEDS,
    SAMPLES_VARY,
    Verdict,
    judge,
)
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.rows import RunRow

ABOUTS = (ONE_SEED_EACH, OVER_SEEDS, SAMPLES_VARY, FOLDS_OVERLAP)


@dataclass(frozen=True)
class Compared:
    """One recipe beside the baseline."""

    group: Recipe
    objections: Sequence[Objection]
    differences: Mapping[str, Difference] = field(default_factory=dict)  # by metric
    changes: Changes | None = None
    changes_of: tuple[RunRow, RunRow] | None = None  # ours, the baseline's
    verdict: Verdict | None = None
    untested: str = ""  # why there is no verdict, where nothing forbids one
    samples_vary: bool = False  # from seed to seed, as where a split seed follows it

    @property
    def is_forbidden(self) -> bool:
        return any(objection.forbids for objection in self.objections)

    @property
    def is_over_seeds(self) -> bool:
        return any(each.unit != "samples" for each in self.differences.values())

    @property
    def about(self) -> str:
        """A sentence on what the test is about, and what is not in it."""
        if self.group.num_folds:
            return FOLDS_OVERLAP
        if not self.is_over_seeds:
            return ONE_SEED_EACH
        return SAMPLES_VARY if self.samples_vary else OVER_SEEDS


@dataclass(frozen=True)
class Comparison:
    """The baseline, and those recipes beside it that there is room to show."""

    metric: str  # that the answer in words is about: `accuracy`, `val/macro_f1`
    metrics: Sequence[str]
    baseline: Recipe
    rows: Sequence[Compared]
    groups: Sequence[Recipe]  # all, also those not shown
    chosen_by: str = ""  # the metric in which those that are shown are the best

    @property
    def num_tests(self) -> int:
        """So many could have been called real by chance, also those passed over."""
        return sum(row.verdict is not None for row in self.rows) + self.num_hidden

    @property
    def num_hidden(self) -> int:
        return len(self.groups) - len(self.rows) - 1

    @property
    def abouts(self) -> list[str]:
        """Sentences on what the tests are about, each once."""
        tested = [row.about for row in self.rows if row.verdict is not None]
        return [each for each in ABOUTS if each in tested]


def compare(
    groups: Sequence[Recipe], baseline: Recipe, metrics: Sequence[str], *, limit: int
) -> Comparison:
    """The first metric is judged by; of more than `limit` recipes, the best in it are shown."""
    others = [group for group in groups if group is not baseline]
    chosen_by = choosing(groups, metrics[0])
    shown = _best(others, chosen_by, limit) if len(others) > limit else others
    records = Records(baseline)
    rows = [_beside(group, baseline, metrics, records) for group in shown]
    rows = _judged(rows, metrics, len(others) - len(shown))
    return Comparison(metrics[0], metrics, baseline, rows, groups, chosen_by)


def choosing(groups: Sequence[Recipe], metric: str) -> str:
    """The metric by which the best are chosen: on val, which nothing is judged by, if it is there.

    As in a sweep, also where the comparison itself is on test.
    """
    if Measure.parse(metric).split in ("train", "val"):
        return metric
    on_val = f"val/{Measure.parse(metric).unsplit}"
    return on_val if any(group.figures(on_val) for group in groups) else metric


def beside_each(group: Recipe, baselines: Sequence[Recipe], metric: str) -> list[Compared]:
    """One recipe beside each of several baselines in turn."""
    rows = [_beside(group, baseline, [metric], Records(baseline)) for baseline in baselines]
    return _judged(rows, [metric], 0)


def _best(groups: Sequence[Recipe], metric: str, limit: int) -> list[Recipe]:
    measured = [(value, group) for group in groups if (value := group.mean_of(metric)) is not None]
    falls = is_lower_better(metric)
    measured.sort(key=lambda pair: pair[0] if falls else -pair[0])
    return [group for _, group in measured[:limit]]


def _beside(group: Recipe, baseline: Recipe, metrics: Sequence[str], records: Records) -> Compared:
    split = Measure.parse(metrics[0]).split_of("")
    found = Compared(
        group,
        objections(group, baseline, split),
        samples_vary=any(each.has_own_samples(split) for each in (group, baseline)),
    )
    if found.is_forbidden:
        return found
    ours, theirs = _matching(group, baseline)
    mine, other = records.predictions(ours, split), records.predictions(theirs, split)
    if mine is not None and other is not None:
        changes = changes_between(mine, other)
        found = replace(found, changes=changes, changes_of=(ours, theirs))
    if len(group.draws) > 1 or len(baseline.draws) > 1:
        over = {
            metric: difference_over_seeds(group.figures(metric), baseline.figures(metric))
            for metric in metrics
        }
        unit = group.unit_of_draws
        known = {k: v for k, v in over.items() if v is not None}
        found = replace(
            found, differences={metric: replace(each, unit=unit) for metric, each in known.items()}
        )
    else:
        found = replace(found, differences=_on_samples((ours, mine), (theirs, other), metrics))
    return replace(found, untested=_why_untested(found, baseline, metrics[0]))


def _why_untested(row: Compared, baseline: Recipe, metric: str) -> str:
    """Empty where the metric has a difference with its noise."""
    if metric in row.differences:
        return ""
    if not (row.group.figures(metric) and baseline.figures(metric)):
        return f"not both have a figure of {metric}"
    if max(len(row.group.draws), len(baseline.draws)) > 1:
        return f"neither has a figure of {metric} for two seeds"
    if row.changes is not None:
        return f"{metric} is no sum over samples, so its noise is not known"
    return "not both have recorded predictions for the same samples"


def _matching(group: Recipe, baseline: Recipe) -> tuple[RunRow, RunRow]:
    """Two runs of the same seed and fold, where there are such."""
    theirs = {member.draw: member for member in reversed(baseline.draws)}
    ours = next((each for each in group.draws if each.draw in theirs), group.draws[0])
    return ours, theirs.get(ours.draw, baseline.draws[0])


@dataclass(frozen=True)
class Records:
    """The recorded predictions of runs, of which the baseline's are read once."""

    baseline: Recipe
    kept: dict[Path | None, Predictions | None] = field(default_factory=dict)

    def predictions(self, member: RunRow, split: str) -> Predictions | None:
        """On a split; empty: on the one that the run is judged by."""
        if member.path in self.kept:
            return self.kept[member.path]
        found = None
        if (member.run.path / "predictions.csv").exists():  # somebody may have made room
            found = member.run.predictions.get(split or member.judged_split)
        if any(member is each for each in self.baseline.draws):
            self.kept[member.path] = found
        return found


def _on_samples(
    ours: tuple[RunRow, Predictions | None],
    theirs: tuple[RunRow, Predictions | None],
    metrics: Sequence[str],
) -> dict[str, Difference]:
    """By metric as it was asked for; empty where not both predicted the same samples."""
    if ours[1] is None or theirs[1] is None:
        return {}
    if not are_same_samples(ours[1], theirs[1]):
        return {}
    plain = {Measure.parse(metric).unsplit: metric for metric in metrics}
    figures = {}
    for name, metric in plain.items():
        values = ours[0].figure(metric), theirs[0].figure(metric)
        if values[0] is not None and values[1] is not None:
            figures[name] = (values[0], values[1])
    found = differences_on_samples(ours[1], theirs[1], figures)
    return {plain[name]: difference for name, difference in found.items() if name in plain}


def _judged(rows: Sequence[Compared], metrics: Sequence[str], num_hidden: int) -> list[Compared]:
    """With Holm's correction, also for those recipes that were passed over for worse figures.

    Every metric is corrected for its comparisons; the verdict is by the first.
    """
    differences = [dict(row.differences) for row in rows]
    for metric in metrics:
        tested = [each for each in differences if metric in each]
        adjusted = adjust([each[metric] for each in tested], len(tested) + num_hidden)
        for each, difference in zip(tested, adjusted, strict=True):
            each[metric] = difference
    return [
        replace(
            row,
            differences=each,
            verdict=judge(metrics[0], each[metrics[0]]) if metrics[0] in each else None,
        )
        for row, each in zip(rows, differences, strict=True)
    ]
