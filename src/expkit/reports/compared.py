"""Recipes beside a baseline: the differences that their records prove, and those that they do not.

A recipe with one run is tested on its answers to the samples; one with several seeds, over these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from expkit.records.measures import Measure, is_lower_better
from expkit.records.predictions import Predictions
from expkit.records.run import Run
from expkit.reports.changes import Changes, are_same_samples, changes_between
from expkit.reports.comparability import Objection, objections
from expkit.reports.groups import Group, Member
from expkit.reports.significance import (
    Difference,
    difference_over_seeds,
    differences_on_samples,
    holm,
)
from expkit.reports.verdicts import Verdict, judge


@dataclass(frozen=True)
class Compared:
    """One recipe beside the baseline."""

    group: Group
    objections: Sequence[Objection]
    differences: Mapping[str, Difference] = field(default_factory=dict)  # by metric
    changes: Changes | None = None
    changes_of: tuple[Member, Member] | None = None  # ours, the baseline's
    verdict: Verdict | None = None

    @property
    def is_forbidden(self) -> bool:
        return any(objection.forbids for objection in self.objections)

    @property
    def is_over_seeds(self) -> bool:
        return any(each.unit == "seeds" for each in self.differences.values())


@dataclass(frozen=True)
class Comparison:
    """The baseline, and those recipes beside it that there is room to show."""

    metric: str  # that the answer in words is about: `accuracy`, `val/macro_f1`
    metrics: Sequence[str]
    baseline: Group
    rows: Sequence[Compared]
    groups: Sequence[Group]  # all, also those not shown

    @property
    def num_hidden(self) -> int:
        return len(self.groups) - len(self.rows) - 1


def compare(
    groups: Sequence[Group], baseline: Group, metrics: Sequence[str], *, limit: int
) -> Comparison:
    """The first metric is judged by; of more than `limit` recipes, the best in it are shown."""
    others = [group for group in groups if group is not baseline]
    shown = _best(others, metrics[0], limit) if len(others) > limit else others
    answers = Answers(baseline)
    rows = [_beside(group, baseline, metrics, answers) for group in shown]
    rows = _judged(rows, metrics[0], len(others) - len(shown))
    return Comparison(metrics[0], metrics, baseline, rows, groups)


def _best(groups: Sequence[Group], metric: str, limit: int) -> list[Group]:
    measured = [(value, group) for group in groups if (value := group.mean(metric)) is not None]
    falls = is_lower_better(metric)
    measured.sort(key=lambda pair: pair[0] if falls else -pair[0])
    return [group for _, group in measured[:limit]]


def _beside(group: Group, baseline: Group, metrics: Sequence[str], answers: Answers) -> Compared:
    split = Measure.parse(metrics[0]).split
    split = "" if split == "held_out" else split
    found = Compared(group, objections(group, baseline, split))
    if found.is_forbidden:
        return found
    ours, theirs = _matching(group, baseline)
    changes = changes_between(answers.of(ours, split), answers.of(theirs, split))
    found = replace(found, changes=changes, changes_of=(ours, theirs))
    if len(group.members) > 1 or len(baseline.members) > 1:
        over = {
            metric: difference_over_seeds(group.figures(metric), baseline.figures(metric))
            for metric in metrics
        }
        return replace(found, differences={k: v for k, v in over.items() if v is not None})
    return replace(found, differences=answers.differences(ours, theirs, split, metrics))


def _matching(group: Group, baseline: Group) -> tuple[Member, Member]:
    """Two runs of the same seed, where there are such."""
    theirs = {member.seed: member for member in reversed(baseline.members)}
    ours = next((each for each in group.members if each.seed in theirs), group.members[0])
    return ours, theirs.get(ours.seed, baseline.members[0])


@dataclass(frozen=True)
class Answers:
    """The recorded answers of runs, of which the baseline's are read once."""

    baseline: Group
    kept: dict[tuple[str, str], Predictions | None] = field(default_factory=dict)

    def of(self, member: Member, split: str) -> Predictions | None:
        """On a split; empty: on the one that the run is judged by."""
        key = str(member.path), split or member.digest.judged_split
        if key in self.kept:
            return self.kept[key]
        found = Run(member.path).predictions.get(key[1])
        if any(member is each for each in self.baseline.members):
            self.kept[key] = found
        return found

    def differences(
        self, ours: Member, theirs: Member, split: str, metrics: Sequence[str]
    ) -> dict[str, Difference]:
        """Of two runs, by metric as it was asked for."""
        mine, other = self.of(ours, split), self.of(theirs, split)
        if mine is None or other is None or not are_same_samples(mine, other):
            return {}
        plain = {_without_split(metric): metric for metric in metrics}
        figures = {}
        for name, metric in plain.items():
            values = ours.digest.figure(metric), theirs.digest.figure(metric)
            if values[0] is not None and values[1] is not None:
                figures[name] = (values[0], values[1])
        found = differences_on_samples(mine, other, figures)
        return {plain[name]: difference for name, difference in found.items() if name in plain}


def _without_split(metric: str) -> str:
    split = Measure.parse(metric).split
    return metric.removeprefix(f"{split}/") if split else metric


def _judged(rows: Sequence[Compared], metric: str, num_hidden: int) -> list[Compared]:
    """With Holm's correction, also for those recipes that were passed over for worse figures."""
    tested = [row for row in rows if metric in row.differences]
    num_comparisons = len(tested) + num_hidden
    p_values = [row.differences[metric].p for row in tested]
    adjusted = dict(zip(map(id, tested), holm(p_values, num_comparisons), strict=True))
    return [
        replace(
            row,
            verdict=judge(metric, row.differences[metric], adjusted[id(row)], num_comparisons),
        )
        if id(row) in adjusted
        else row
        for row in rows
    ]
