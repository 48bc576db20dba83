"""Jobs that are alike but for their seed and fold, folded into one line of a table."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from expkit.metrics.names import CHOOSING, Measure, is_lower_better
from expkit.records.seed_groups import Folding, count_folds
from expkit.reports import formatting
from expkit.reports.compare.recipes import count_draws
from expkit.reports.sweep.rows import Row
from expkit.reports.sweep.variation import Value, shown

MAX_VALUES = 4  # of seeds or folds that are listed one by one


@dataclass(frozen=True)
class Group:
    """One setting over its seeds and folds."""

    settings: Mapping[str, Value]
    rows: Sequence[Row]
    repeats: Collection[int] = ()  # numbers of jobs that are another of these over again

    @cached_property
    def judged(self) -> list[Row]:
        """Those with a figure of a whole training: one that was pruned has another's."""
        return [
            row
            for row in self.rows
            if _is_number(row.objective)
            and row.status != "pruned"
            and row.number not in self.repeats
        ]

    @cached_property
    def values(self) -> list[float]:
        """The objective's."""
        return [row.objective for row in self.judged if row.objective is not None]

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Of one seed nothing is known of the spread."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def num_folds(self) -> int:
        """So many folds of cross-validation; 0 where there is none, or one fold alone."""
        return count_folds([row.fold for row in self.rows])

    @property
    def unit(self) -> str:
        """`3 seeds`, `5 folds`, or `10 runs, over 2 seeds and 5 folds`: those with a figure."""
        num_seeds = len({row.seed for row in self.judged})
        num_folds = len({row.fold for row in self.judged}) if self.num_folds else 0
        return count_draws(num_seeds, num_folds, len(self.judged))

    def mean_of(self, metric: str) -> float | None:
        found = [row.metrics.get(metric) for row in self.rows if row.number not in self.repeats]
        known = [value for value in found if value is not None]
        return statistics.fmean(known) if known else None

    @property
    def findings(self) -> Counter[str]:
        return Counter(finding for row in self.rows for finding in row.findings)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def fold(rows: Sequence[Row], objective: str, folding: Folding) -> list[Group]:
    """The best first; those without a figure last, in the order in which they were planned."""
    members = [list(part) for part in folding.recipes]
    recipe_of = {place: number for number, part in enumerate(members) for place in part}
    for again, once in folding.repeats.items():
        members[recipe_of[once]].append(again)
    repeats = {rows[again].number for again in folding.repeats}
    parts = [[rows[place] for place in part] for part in members]
    inner = _inner(parts)
    settings = [_settings(own[0], inner) for own in parts]
    if any(each in settings[:place] for place, each in enumerate(settings)):
        settings = [_with_inner(own, inner) for own in parts]
    groups = [Group(each, own, repeats) for each, own in zip(settings, parts, strict=True)]
    sign = 1 if is_lower_better(objective) else -1
    return sorted(groups, key=lambda group: math.inf if group.mean is None else sign * group.mean)


def _inner(parts: Sequence[Sequence[Row]]) -> set[str]:
    """The keys that vary within a recipe: they go with its seed, or are its fold."""
    return {
        key
        for own in parts
        for key in own[0].settings
        if len({row.settings[key] for row in own}) > 1
    }


def _settings(row: Row, inner: Collection[str]) -> dict[str, Value]:
    """Without what goes with seed and fold."""
    return {key: value for key, value in row.settings.items() if key not in inner}


def _with_inner(rows: Sequence[Row], inner: Collection[str]) -> dict[str, Value]:
    """Return what goes with seed and fold, too, where that alone tells a recipe from another.

    As a plain run beside the folds of the same recipe: `null` and `0, 1`.
    """
    values = {key: list(dict.fromkeys(row.settings[key] for row in rows)) for key in inner}
    several = {
        key: ", ".join(map(shown, found))
        if len(found) <= MAX_VALUES
        else f"{len(found)} values, {shown(found[0])} to {shown(found[-1])}"
        for key, found in values.items()
        if len(found) > 1
    }
    return {**rows[0].settings, **several}


def spread(group: Group, metric: str) -> str:
    """`91.20 ± 0.35 %`; a dash where nothing was measured."""
    return "-" if group.mean is None else formatting.spread(metric, group.mean, group.std)


def measured(objective: str, rows: Sequence[Row]) -> str:
    """The objective by the split that it was measured on: `val/accuracy`."""
    measure = Measure.parse(objective)
    judged = next((row.judged_split for row in rows if row.judged_split), "")
    split = measure.split if measure.split not in ("", "held_out") else judged
    if split == CHOOSING:
        splits = {name.partition("/")[0] for row in rows for name in row.metrics}
        split = "val" if "val" in splits else judged
    class_name = "" if measure.class_name is None else f"[{measure.class_name}]"
    return f"{split}{'/' * bool(split)}{measure.metric}{class_name}"
