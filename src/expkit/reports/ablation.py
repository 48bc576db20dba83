"""What each change of an ablation is worth: held against the recipe, seed by seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from expkit.records.measures import is_lower_better
from expkit.records.sweep import Sweep
from expkit.reports import wording
from expkit.reports.markdown import Markup, code, table
from expkit.reports.significance import Difference, difference_over_seeds, holm
from expkit.reports.sweep_groups import measured
from expkit.reports.sweep_rows import Row, read_rows
from expkit.reports.variation import Value, shown, value_of, words_of
from expkit.reports.verdicts import Verdict, judge

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
        """How much larger the figure is with the change; each seed counts once."""
        if self.difference is not None:
            return self.difference.value
        return statistics.fmean(ours - theirs for ours, theirs in self.pairs)

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


def measure_ablation(sweep: Sweep) -> AblationResult | None:
    """From the records of its jobs; None of a sweep that is no ablation."""
    names = [job.change for job in sweep.jobs]
    if not any(names):
        return None
    rows = read_rows(sweep)
    recipe = [row for row, name in zip(rows, names, strict=True) if name is None]
    changed: dict[str, list[Row]] = {}
    for row, name in zip(rows, names, strict=True):
        if name is not None:
            changed.setdefault(name, []).append(row)
    worths = [_pair(name, each, recipe) for name, each in changed.items()]
    objective = measured(sweep.objective, rows)  # not "held out" of samples that were trained on
    sign = -1 if is_lower_better(objective) else 1
    return AblationResult(
        objective,
        [row.objective for row in recipe if row.objective is not None],
        len(recipe),
        sorted(
            _judged(objective, worths),
            key=lambda worth: sign * worth.gain if worth.pairs else float("inf"),
        ),
    )


def _pair(name: str, rows: Sequence[Row], recipe: Sequence[Row]) -> Worth:
    partners = [_partner(row, recipe) for row in rows]
    settings: dict[str, Value] = {}
    pairs = []
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for row, partner in zip(rows, partners, strict=True):
        if partner is None:
            continue
        settings |= _differing(row, partner)
        if row.objective is not None and partner.objective is not None:
            pairs.append((row.objective, partner.objective))
            by_seed.setdefault(row.seed, []).append(pairs[-1])
    # where other words were swept, too, the jobs of one seed are not independent of each other
    ours, theirs = (
        {seed: _mean_of(each, side) for seed, each in by_seed.items()} for side in (0, 1)
    )
    return Worth(name, settings, pairs, len(rows), difference_over_seeds(ours, theirs))


def _mean_of(pairs: Sequence[tuple[float, float]], side: int) -> float:
    return statistics.fmean(pair[side] for pair in pairs)


def _partner(row: Row, recipe: Sequence[Row]) -> Row | None:
    """The recipe's job with the same seed that differs in nothing but the change."""
    same_seed = [each for each in recipe if each.seed == row.seed]
    return min(same_seed, key=lambda each: len(_differing(row, each)), default=None)


def _differing(row: Row, other: Row) -> dict[str, Value]:
    """The words of one that the other does not have."""
    ours, theirs = words_of(row.overrides), words_of(other.overrides)
    return {key: value_of(value) for key, value in ours.items() if theirs.get(key) != value}


def _judged(objective: str, worths: Sequence[Worth]) -> list[Worth]:
    """By p-values that are corrected for as many changes as could be told from the recipe."""
    known = [worth for worth in worths if worth.difference is not None]
    adjusted = holm([worth.difference.p for worth in known if worth.difference is not None])
    corrected = {worth.name: p for worth, p in zip(known, adjusted, strict=True)}
    return [
        replace(
            worth, verdict=judge(objective, worth.difference, corrected[worth.name], len(known))
        )
        if worth.difference is not None
        else worth
        for worth in worths
    ]


def ablation_section(sweep: Sweep) -> list[str]:
    """Markdown parts for the sweep's page; none where the sweep is no ablation."""
    result = measure_ablation(sweep)
    if result is None:
        return []
    told = [f"- {worth.name} {_sentence(worth)}" for worth in result.worths if worth.verdict]
    told += [_absent(worth) for worth in result.worths if len(worth.pairs) < worth.num_jobs]
    header = ("change", "sets", result.objective, "seeds", "against the recipe", "it")
    return [
        "## What each change is worth",
        table(header, [_recipe_row(result), *(_row(result, each) for each in result.worths)]),
        _note(result),
        *(["\n".join(told)] if told else []),
    ]


def _recipe_row(result: AblationResult) -> tuple[str, ...]:
    count = _count(len(result.recipe), result.num_recipe_jobs)
    return ("base: the recipe", "", _mean(result.objective, result.recipe), count, "", "")


def _row(result: AblationResult, worth: Worth) -> tuple[str, ...]:
    gain = wording.difference(result.objective, worth.gain, 0.0) if worth.pairs else "-"
    if worth.difference is not None and worth.difference.interval is not None:
        gain += f" ({_ends(result.objective, worth.difference.interval)})"
    return (
        worth.name,
        Markup(", ".join(code(f"{key}={shown(value)}") for key, value in worth.settings.items())),
        _mean(result.objective, [ours for ours, _ in worth.pairs]),
        _count(len(worth.pairs), worth.num_jobs),
        gain,
        worth.word,
    )


def _ends(objective: str, interval: tuple[float, float]) -> str:
    scale, digits = (100, ".2f") if wording.is_share(objective) else (1, ".3g")
    return " to ".join(f"{scale * end:+{digits}}" for end in interval)


def _mean(objective: str, values: Sequence[float]) -> str:
    return wording.figure(objective, statistics.fmean(values)) if values else "-"


def _count(count: int, planned: int) -> str:
    return str(count) if count == planned else f"{count} of {planned}"


def _absent(worth: Worth) -> str:
    count = worth.num_jobs - len(worth.pairs)
    return (
        f"- {worth.name} has no figure in {count} of {worth.num_jobs} jobs: what became of them is "
        "in sweep.csv (a run that fails a gate is not trained, which is a result too)"
    )


def _sentence(worth: Worth) -> str:
    assert worth.verdict is not None
    word, text = worth.verdict.word, worth.verdict.text
    return f"{WORDS[word]}{text.removeprefix(word)}" if word in WORDS else f"shows {text}"


def _note(result: AblationResult) -> str:
    known = sum(worth.verdict is not None for worth in result.worths)
    side = "lower" if is_lower_better(result.objective) else "higher"
    text = (
        f"Each change stands alone against the recipe, on {result.objective} ({side} is better), "
        "seed against the same seed; in brackets the 95 % interval of the difference (Student's t)."
    )
    if known > 1:
        text += f" The words hold for all {known} changes together (Holm's correction)."
    return text
