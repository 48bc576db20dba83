"""Runs that are alike but for their seed, as one: a recipe, of which the runs are draws."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expkit.diagnosis.comparison import NOT_SETTINGS
from expkit.records.digest import Digest

SEED = "seed"


@dataclass(frozen=True)
class Member:
    """A run by its folder and its digest."""

    path: Path
    digest: Digest

    @property
    def seed(self) -> Any:
        return self.digest.config.get(SEED)


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
        return f"{self.first.name}, {len(self.members)} seeds"

    def figures(self, metric: str) -> dict[Any, float]:
        """By seed, where it was measured."""
        found = ((member.seed, member.digest.figure(metric)) for member in self.members)
        return {seed: value for seed, value in found if value is not None and math.isfinite(value)}

    def mean(self, metric: str) -> float | None:
        """Over the seeds, where any was measured."""
        figures = self.figures(metric).values()
        return statistics.fmean(figures) if figures else None

    def spread(self, metric: str) -> float | None:
        """The standard deviation over seeds; None of one."""
        figures = self.figures(metric).values()
        return statistics.stdev(figures) if len(figures) > 1 else None


def fold(members: Sequence[Member]) -> list[Recipe]:
    """Runs alike but for the seed together; the same seed twice is two groups.

    Where all are alike, it is the seeds that are compared.
    """
    parts: dict[tuple[str, int], list[Member]] = {}
    seen: dict[tuple[str, Any], int] = {}
    for member in members:
        prints = sorted(member.digest.fingerprints.items())
        key = repr((sorted(settings_of(member.digest).items()), prints))
        again = seen[key, member.seed] = seen.get((key, member.seed), -1) + 1
        parts.setdefault((key, again), []).append(member)
    groups = list(parts.values()) if len(parts) > 1 else [[member] for member in members]
    return [Recipe(label_of(number), part) for number, part in enumerate(groups)]


def settings_of(digest: Digest) -> dict[str, Any]:
    """What sets the run up: not its name, not how it is judged, and not its seed."""
    return {
        key: value
        for key, value in digest.config.items()
        if key != SEED and key.partition(".")[0] not in NOT_SETTINGS
    }


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
