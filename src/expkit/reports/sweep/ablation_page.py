"""The ablation on a sweep's page: its hypothesis judged, and what each change is worth."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.names import is_lower_better
from expkit.metrics.p_values import p_value
from expkit.reports import formatting
from expkit.reports.compare.verdicts import corrected, difference_shown, methods_of
from expkit.reports.markdown import Markup, code
from expkit.reports.runs.recipes import mean_of
from expkit.reports.runs.settings import shown
from expkit.reports.sweep.ablation import WORDS, AblationResult, Worth
from expkit.reports.sweep.ablation_verdict import AblationVerdict, JudgedClaim, in_words
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.tables import Table


def ablation_section(outcome: SweepOutcome) -> list[str]:
    """Markdown parts for the sweep's page; none where the sweep is no ablation."""
    result = outcome.ablation
    if result is None:
        return []
    told = [f"- {worth.name} {_sentence(worth)}" for worth in result.worths if worth.verdict]
    told += [_absent(worth) for worth in result.worths if len(worth.pairs) < worth.num_jobs]
    rows = [_recipe_row(result), *(_row(result, each) for each in result.worths)]
    header = ("change", "sets", result.objective, "seeds", "against the recipe", "p", "it")
    return [
        *_hypothesis(outcome.hypothesis),
        "## What each change is worth",
        Table(header, rows).markdown(),
        _note(result),
        *(["\n".join(told)] if told else []),
    ]


def _recipe_row(result: AblationResult) -> tuple[str, ...]:
    count = _count(len(result.recipe), result.num_recipe_jobs)
    return ("base: the recipe", "", _mean(result.objective, result.recipe), count, "", "", "")


def _row(result: AblationResult, worth: Worth) -> tuple[str, ...]:
    gain, p = "-", "-"
    if worth.difference is not None:
        gain = difference_shown(result.objective, worth.difference)
        p = p_value(worth.difference.p).removeprefix("= ")
    elif worth.pairs:
        gain = formatting.difference(result.objective, worth.gain, 0.0)
    return (
        worth.name,
        Markup(", ".join(code(f"{key}={shown(value)}") for key, value in worth.settings.items())),
        _mean(result.objective, [ours for ours, _ in worth.pairs]),
        _count(len(worth.pairs), worth.num_jobs),
        gain,
        p,
        worth.word,
    )


def _mean(objective: str, values: Sequence[float]) -> str:
    return formatting.spread(objective, mean_of(values), None)


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
    told = [
        f"Each change stands alone against the recipe, on {result.objective} ({side} is better), "
        "seed against the same seed; in brackets the 95 % interval of the difference",
        *methods_of(
            (result.objective, worth.difference)
            for worth in result.worths
            if worth.difference is not None
        ),
        corrected(known, " with the recipe"),
    ]
    return "\n".join(f"- {sentence}" for sentence in told if sentence)


def _hypothesis(verdict: AblationVerdict | None) -> list[str]:
    """Markdown parts for the sweep's page; none where no claim was stated."""
    if verdict is None:
        return []
    rows = [_claim_row(verdict.objective, each) for each in verdict.claims]
    return [
        "## The hypothesis",
        f"**{verdict.word.upper()}**: {verdict.text.removeprefix(f'{verdict.word}: ')}.",
        Table(("change", "claim", "95 % bound of the difference", "p", "it is"), rows).markdown(),
        "A claim is shown where the one-sided 95 % bound of the difference over seeds lies on its "
        "side of what it allows, which is where p < 0.05 (Student's t); the p of a refutation is "
        "after Holm's correction. The hypothesis is shown where all of its claims are, and refuted "
        "where one is.",
    ]


def _claim_row(objective: str, judged: JudgedClaim) -> tuple[str, ...]:
    claim = judged.claim
    return (
        claim.change,
        in_words(objective, claim),
        _one_sided_bound(objective, judged),
        "-" if judged.p_shown is None else p_value(judged.p_shown).removeprefix("= "),
        f"refuted (p {p_value(judged.p_refuted)})"
        if judged.word == "refuted" and judged.p_refuted is not None
        else judged.word,
    )


def _one_sided_bound(objective: str, judged: JudgedClaim) -> str:
    difference = judged.worth.difference
    ends = None if difference is None else difference.method.interval(2 * LEVEL)
    if ends is None:
        return "-"
    end = ends[0] if judged.claim.relation == ">" else ends[1]
    return f"{judged.claim.relation} {formatting.difference(objective, end, 0.0)}"
