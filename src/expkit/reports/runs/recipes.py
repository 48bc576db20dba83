"""Rows that are alike but for their seed and fold as one recipe, of which they are draws."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from expkit.metrics.names import CHOOSING, Measure, is_lower_better
from expkit.records import seed_groups
from expkit.records.seed_groups import Folding, count_folds, fold_draws
from expkit.reports import formatting
from expkit.reports.runs.rows import RunRow, read_run
from expkit.reports.runs.settings import Value, shown

MAX_VALUES = 4  # of seeds or folds that are listed one by one


@dataclass(frozen=True, eq=False)
class Recipe:
    """One recipe over its seeds and folds."""

    label: str  # A, B, ... in the order of their first rows
    draws: Sequence[RunRow]  # each of another seed or fold
    repeats: Sequence[RunRow] = ()  # those made once more, which no figure counts twice
    metric: str = ""  # that a sweep judges by
    settings: Mapping[str, Value] = field(default_factory=dict)  # that vary in the sweep

    @property
    def rows(self) -> list[RunRow]:
        return [*self.draws, *self.repeats]

    @property
    def first(self) -> RunRow:
        return self.draws[0]

    @property
    def name(self) -> str:
        """The folder's name of one run; what several are called, and how many they are."""
        if len(self.draws) == 1:
            return self.first.folder
        return f"{self.first.name}, {self.unit}"

    @cached_property
    def judged(self) -> Sequence[RunRow]:
        """The draws with a figure of a whole training: a pruned one's is of less."""
        if not self.metric:
            return self.draws
        known = self.figures(self.metric)
        return [row for row in self.draws if row.draw in known and row.status != "pruned"]

    @cached_property
    def values(self) -> list[float]:
        """The figures that a sweep judges it by."""
        known = self.figures(self.metric)
        return [known[row.draw] for row in self.judged]

    @property
    def mean(self) -> float | None:
        return mean_of(self.values)

    @property
    def std(self) -> float | None:
        return std_of(self.values)

    def in_words(self, metric: str) -> str:
        """Return `91.20 ± 0.35 %` for the sweep's metric as it is shown; a dash without any."""
        return formatting.spread(metric, self.mean, self.std)

    def figures(self, metric: str) -> dict[Any, float]:
        """Return the figures by seed, or by seed and fold, where it was measured."""
        found = ((row.draw, row.figure(metric)) for row in self.draws)
        return {draw: value for draw, value in found if value is not None and math.isfinite(value)}

    def mean_of(self, metric: str) -> float | None:
        """Return the mean over the seeds and folds that have a figure."""
        return mean_of(self.figures(metric).values())

    def std_of(self, metric: str) -> float | None:
        """Return the standard deviation over seeds and folds; None of one."""
        return std_of(self.figures(metric).values())

    @property
    def num_folds(self) -> int:
        """The number of folds of cross-validation; 0 where there is none, or one fold alone."""
        return count_folds([row.fold for row in self.draws])

    @property
    def unit(self) -> str:
        """`3 seeds`, `5 folds`, or `10 runs, over 2 seeds and 5 folds`: those with a figure."""
        num_seeds, num_runs = len({row.seed for row in self.judged}), len(self.judged)
        if not self.num_folds:
            return f"{num_seeds} seed{'s' * (num_seeds != 1)}"
        num_folds = len({row.fold for row in self.judged})
        folds = f"{num_folds} fold{'s' * (num_folds != 1)}"
        return folds if num_seeds == 1 else f"{num_runs} runs, over {num_seeds} seeds and {folds}"

    @property
    def unit_of_draws(self) -> str:
        """The word for what the rows are draws of: seeds, folds, or runs where both vary."""
        if not self.num_folds:
            return "seeds"
        return "folds" if len({row.seed for row in self.draws}) == 1 else "runs"

    @property
    def findings(self) -> Counter[str]:
        return Counter(finding for row in self.rows for finding in row.findings)

    def has_own_samples(self, split: str) -> bool:
        """Tell whether a split's samples differ from seed to seed; empty: of the judged split."""
        prints = (row.fingerprints.get(split or row.judged_split) for row in self.draws)
        return len(set(prints)) > 1

    def compared(self, label: str) -> Recipe:
        """Return those that are judged, with all that their runs tell a comparison."""
        return Recipe(label, [read_run(row.run) for row in self.judged])


def mean_of(values: Collection[float]) -> float | None:
    """Return the mean; None of no value."""
    return statistics.fmean(values) if values else None


def std_of(values: Collection[float]) -> float | None:
    """Return the sample standard deviation; None of a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def fold_rows(rows: Sequence[RunRow]) -> Folding:
    """Tell which rows are one recipe, which are repetitions, and what follows the seed.

    The same seed by other code is another recipe; a run made twice counts once.
    """
    return fold_draws([row.setup() for row in rows])


def recipes_of(rows: Sequence[RunRow], folding: Folding, metric: str = "") -> list[Recipe]:
    """Return the recipes in the order of their first rows."""
    recipe_of = {place: number for number, part in enumerate(folding.recipes) for place in part}
    repeats: list[list[RunRow]] = [[] for _ in folding.recipes]
    for again, once in folding.repeats.items():
        repeats[recipe_of[once]].append(rows[again])
    return [
        Recipe(label_of(number), [rows[place] for place in part], repeats[number], metric)
        for number, part in enumerate(folding.recipes)
    ]


def rivals_of(rows: Sequence[RunRow], folding: Folding) -> list[Recipe]:
    """Return the recipes to compare; of a single one, its seeds, and never its folds."""
    recipes = recipes_of(rows, folding)
    if len(recipes) == 1 and not recipes[0].num_folds:
        return [Recipe(label_of(i), [row]) for i, row in enumerate(recipes[0].draws)]
    return recipes


def ranked(rows: Sequence[RunRow], folding: Folding, metric: str) -> list[Recipe]:
    """Return a sweep's recipes with their settings, the best first, those without figure last."""
    recipes = recipes_of(rows, folding, metric)
    inner = _inner(recipes)
    settings = [_settings(each.first, inner) for each in recipes]
    if any(each in settings[:place] for place, each in enumerate(settings)):
        settings = [_with_inner(each.rows, inner) for each in recipes]
    groups = [replace(each, settings=own) for each, own in zip(recipes, settings, strict=True)]
    sign = 1 if is_lower_better(metric) else -1
    return sorted(groups, key=lambda each: math.inf if each.mean is None else sign * each.mean)


def _inner(recipes: Sequence[Recipe]) -> set[str]:
    """The keys that vary within a recipe: they go with its seed, or are its fold."""
    return {
        key
        for recipe in recipes
        for key in recipe.first.settings
        if len({row.settings[key] for row in recipe.rows}) > 1
    }


def _settings(row: RunRow, inner: Collection[str]) -> dict[str, Value]:
    """Without what goes with seed and fold."""
    return {key: value for key, value in row.settings.items() if key not in inner}


def _with_inner(rows: Sequence[RunRow], inner: Collection[str]) -> dict[str, Value]:
    """Add what goes with seed and fold, where that alone tells a recipe from another.

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


def measured(objective: str, rows: Sequence[RunRow]) -> str:
    """The objective by the split that it was measured on: `val/accuracy`."""
    measure = Measure.parse(objective)
    judged = next((row.judged_split for row in rows if row.judged_split), "")
    split = measure.split_of(judged)
    if split == CHOOSING:
        split = "val" if any("val" in row.metrics for row in rows) else judged
    return f"{split}{'/' * bool(split)}{measure.unsplit}"


def settings_of(row: RunRow) -> dict[str, Any]:
    """The settings of the run: not its name, not how it is judged, and neither seed nor fold."""
    return seed_groups.settings_of(row.flat_config)


def following(followers: Sequence[str], keys: str) -> str:
    """The sentence on the keys that were folded with the seed, as `keys` lists them."""
    has, it = ("has", "it is") if len(followers) == 1 else ("have", "they are")
    return f"{keys} {has} one value for each seed: {it} taken as a part of it"


def label_of(number: int) -> str:
    """A to Z, then AA, AB, ..."""
    letters, left = "", number + 1
    while left:
        left, rest = divmod(left - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
