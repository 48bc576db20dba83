"""The effect of each change of an ablation, against the recipe, seed by seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from expkit.metrics.names import is_lower_better
from expkit.metrics.seed_differences import difference_over_seeds
from expkit.metrics.significance import Difference, adjust
from expkit.reports.compare.verdicts import Verdict, judge
from expkit.reports.runs.recipes import measured
from expkit.reports.runs.rows import RunRow
from expkit.reports.runs.settings import Value, value_of, words_of

WORDS = {"better": "helps", "worse": "hurts"}


@dataclass(frozen=True)
class Worth:
    """A change beside the recipe: the figures of each pair of jobs, and what they prove."""

    name: str
    settings: Mapping[str, Value]  # what it changes, as it is with it
    pairs: Sequence[tuple[float, float]]  # with the change, and without
    num_jobs: int
    difference: Difference | None = None  # None of one pair, which shows no noise
    verdict: Verdict | None = None

    @property
    def gain(self) -> float:
        """Return how much larger the figure is with the change; each seed counts once."""
        if self.difference is not None:
            return self.difference.value
        return statistics.fmean(ours - theirs for ours, theirs in self.pairs)

    @property
    def num_seeds(self) -> int:
        return 1 if self.difference is None else self.difference.count

    @property
    def word(self) -> str:
        """helps, hurts or no evidence, and as much as is known where none can be had."""
        if not self.pairs:
            return "no figure"
        if self.verdict is None:
            return "one seed alone: nothing is known of the noise"
        return WORDS.get(self.verdict.word, self.verdict.word)


@dataclass(frozen=True)
class AblationResult:
    """The recipe's figures, and what each change of it is worth: the costliest first."""

    objective: str
    recipe: Sequence[float]
    num_recipe_jobs: int
    worths: Sequence[Worth]


def measure_ablation(rows: Sequence[RunRow], metric: str) -> AblationResult | None:
    """By the sweep's metric; None of jobs that are no ablation's."""
    recipe = [row for row in rows if row.change is None]
    changed: dict[str, list[RunRow]] = {}
    for row in rows:
        if row.change is not None:
            changed.setdefault(row.change, []).append(row)
    if not changed:
        return None
    worths = [_pair(name, each, recipe, metric) for name, each in changed.items()]
    objective = measured(metric, rows)  # not "held out" of samples that were trained on
    sign = -1 if is_lower_better(objective) else 1
    return AblationResult(
        objective,
        [value for row in recipe if (value := row.figure(metric)) is not None],
        len(recipe),
        sorted(
            _judged(objective, worths),
            key=lambda worth: sign * worth.gain if worth.pairs else float("inf"),
        ),
    )


def _pair(name: str, rows: Sequence[RunRow], recipe: Sequence[RunRow], metric: str) -> Worth:
    partners = [_partner(row, recipe) for row in rows]
    settings: dict[str, Value] = {}
    pairs = []
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for row, partner in zip(rows, partners, strict=True):
        if partner is None:
            continue
        settings |= _differing(row, partner)
        figures = row.figure(metric), partner.figure(metric)
        if figures[0] is not None and figures[1] is not None:
            pairs.append((figures[0], figures[1]))
            by_seed.setdefault(row.seed, []).append(pairs[-1])
    # where other words were swept, too, the jobs of one seed are not independent of each other
    ours, theirs = (
        {seed: _mean_of(each, side) for seed, each in by_seed.items()} for side in (0, 1)
    )
    return Worth(name, settings, pairs, len(rows), difference_over_seeds(ours, theirs))


def _mean_of(pairs: Sequence[tuple[float, float]], side: int) -> float:
    return statistics.fmean(pair[side] for pair in pairs)


def _partner(row: RunRow, recipe: Sequence[RunRow]) -> RunRow | None:
    """The recipe's job with the same seed that differs in nothing but the change."""
    same_seed = [each for each in recipe if each.seed == row.seed]
    return min(same_seed, key=lambda each: len(_differing(row, each)), default=None)


def _differing(row: RunRow, other: RunRow) -> dict[str, Value]:
    """The words of one that the other does not have."""
    ours, theirs = words_of(row.overrides), words_of(other.overrides)
    return {key: value_of(value) for key, value in ours.items() if theirs.get(key) != value}


def _judged(objective: str, worths: Sequence[Worth]) -> list[Worth]:
    """By p-values that are corrected for as many changes as could be told from the recipe."""
    adjusted = adjust([worth.difference for worth in worths if worth.difference is not None])
    known = iter(adjusted)
    return [
        worth
        if worth.difference is None
        else replace(worth, difference=(found := next(known)), verdict=judge(objective, found))
        for worth in worths
    ]


def describe(result: AblationResult) -> str:
    """The finding in a line: which changes matter, and how many show nothing."""
    told = [
        f"{', '.join(names)} {verb if len(names) == 1 else verb.removesuffix('s')}"
        for verb in ("hurts", "helps")
        if (names := [worth.name for worth in result.worths if worth.word == verb])
    ]
    tested = [worth for worth in result.worths if worth.verdict]
    silent = [worth for worth in tested if worth.word not in WORDS.values()]
    if silent:
        verb = "shows" if len(silent) == 1 else "show"
        told.append(f"{len(silent)} of {len(result.worths)} {verb} no evidence of a difference")
    untested = [worth.name for worth in result.worths if not worth.verdict]
    if untested:
        told.append(f"{', '.join(untested)}: too few figures to tell")
    return f"{result.objective}: {'; '.join(told)}"
