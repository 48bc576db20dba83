"""Runs that are alike but for their seed, as one: a recipe, of which the runs are draws."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expkit.records import seed_groups
from expkit.records.run.digest import Digest
from expkit.records.seed_groups import SEED as SEED
from expkit.records.seed_groups import Folding, Setup, count_folds, draw_of, fold_draws, fold_of


@dataclass(frozen=True)
class Member:
    """A run by its folder and its digest."""

    path: Path
    digest: Digest

    @property
    def seed(self) -> Any:
        return self.digest.config.get(SEED)

    @property
    def draw(self) -> Any:
        """The seed; in cross-validation the seed with the fold."""
        return draw_of(self.digest.config)

    @property
    def draw_name(self) -> str:
        """`3`, or `3/fold1`."""
        fold = fold_of(self.digest.config)
        return f"{self.seed}" if fold is None else f"{self.seed}/fold{fold}"

    @property
    def draw_words(self) -> str:
        """`seed 3`, or `seed 3 and fold 1`, in a sentence."""
        fold = fold_of(self.digest.config)
        return f"seed {self.seed}" + ("" if fold is None else f" and fold {fold}")


@dataclass(frozen=True)
class Recipe:
    """A recipe's runs, each with a seed of its own; mostly one."""

    label: str  # A, B, ... in the order in which they were named
    members: Sequence[Member]

    @property
    def first(self) -> Digest:
        return self.members[0].digest

    @property
    def name(self) -> str:
        """The folder's name of one run; what several are called, and how many they are."""
        if len(self.members) == 1:
            return self.members[0].path.name
        return f"{self.first.name}, {self.unit}"

    @property
    def unit(self) -> str:
        """`3 seeds`, `5 folds`, or `10 runs, over 2 seeds and 5 folds`."""
        seeds = {member.seed for member in self.members}
        return count_draws(len(seeds), self.num_folds, len(self.members))

    @property
    def unit_of_draws(self) -> str:
        """The word for what the runs are draws of: seeds, folds, or runs where both vary."""
        if not self.num_folds:
            return "seeds"
        return "folds" if len({member.seed for member in self.members}) == 1 else "runs"

    @property
    def num_folds(self) -> int:
        """So many folds of cross-validation; 0 where there is none, or one fold alone."""
        return count_folds([fold_of(member.digest.config) for member in self.members])

    def has_own_samples(self, split: str) -> bool:
        """Tell whether a split's samples differ from seed to seed; empty: of the judged split."""
        prints = (
            each.digest.fingerprints.get(split or each.digest.judged_split) for each in self.members
        )
        return len(set(prints)) > 1

    def figures(self, metric: str) -> dict[Any, float]:
        """The figures by seed, or by seed and fold, where it was measured."""
        found = ((member.draw, member.digest.figure(metric)) for member in self.members)
        return {draw: value for draw, value in found if value is not None and math.isfinite(value)}

    def mean(self, metric: str) -> float | None:
        """Over the seeds and folds, where any was measured."""
        figures = self.figures(metric).values()
        return statistics.fmean(figures) if figures else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation over seeds; None of one."""
        figures = self.figures(metric).values()
        return statistics.stdev(figures) if len(figures) > 1 else None


def fold(members: Sequence[Member], found: Folding | None = None) -> list[Recipe]:
    """Runs alike but for the seed, what follows it, and the fold together.

    The same seed by other code is another recipe; a run made twice counts once. Where all are
    alike, it is the seeds that are compared, and never the folds.
    """
    found = folding(members) if found is None else found
    parts = [[members[place] for place in part] for part in found.recipes]
    recipes = [Recipe(label_of(number), part) for number, part in enumerate(parts)]
    if len(recipes) == 1 and not recipes[0].num_folds:
        recipes = [Recipe(label_of(i), [member]) for i, member in enumerate(parts[0])]
    return recipes


def folding(members: Sequence[Member]) -> Folding:
    """Tell which of these are one recipe, which are repetitions, and what follows the seed."""
    return fold_draws(
        [
            Setup(member.digest.config, member.digest.fingerprints, _proof(member.digest))
            for member in members
        ]
    )


def _proof(digest: Digest) -> str:
    """The code, and the figures where that is not known for sure."""
    is_known = digest.code.get("commit") is not None and not digest.code.get("dirty")
    return json.dumps([digest.code, None if is_known else digest.metrics], sort_keys=True)


def count_draws(num_seeds: int, num_folds: int, num_runs: int) -> str:
    """`3 seeds`, `5 folds`, or `10 runs, over 2 seeds and 5 folds`."""
    if num_folds == 0:
        return f"{num_seeds} seed{'s' * (num_seeds != 1)}"
    folds = f"{num_folds} fold{'s' * (num_folds != 1)}"
    return folds if num_seeds == 1 else f"{num_runs} runs, over {num_seeds} seeds and {folds}"


def settings_of(digest: Digest) -> dict[str, Any]:
    """The settings of the run: not its name, not how it is judged, and neither seed nor fold."""
    return seed_groups.settings_of(digest.config)


def label_of(number: int) -> str:
    """A to Z, then AA, AB, ..."""
    letters, left = "", number + 1
    while left:
        left, rest = divmod(left - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def differing_keys(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that these flat configs do not all have alike, in the order of the configs."""
    keys = dict.fromkeys(key for each in settings for key in each)
    return [key for key in keys if not _are_alike(each.get(key, _Missing) for each in settings)]


class _Missing:
    """Stands for a key that a config lacks, where None is a value."""


def _are_alike(values: Iterable[Any]) -> bool:
    first, *others = values
    return all(type(other) is type(first) and other == first for other in others)
