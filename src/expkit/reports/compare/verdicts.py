"""Verdicts of a comparison: better, worse, or no evidence of a difference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from expkit.diagnosis.finding import counted
from expkit.metrics.mcnemar import LEVEL, POWER
from expkit.metrics.names import is_lower_better
from expkit.metrics.p_values import p_value
from expkit.metrics.sign_flip_test import MAX_EXACT, NUM_FLIPS, SignFlips
from expkit.metrics.significance import Difference
from expkit.reports import formatting

Word = Literal["better", "worse", "no evidence of a difference"]

ONE_SEED_EACH = (
    "The test is about these trained models on these samples, not about the recipes: how much "
    "another seed would change is not in it. Train each over several: expkit train -m seed=0,1,2"
)

OVER_SEEDS = (
    "A test over seeds is about these recipes on these very samples: how much other samples would "
    "change is not in it"
)

SAMPLES_VARY = (
    "Each seed has samples of its own here: how much other samples would change is in the test, as "
    "far as these do not overlap"
)

FOLDS_OVERLAP = (
    "Folds share most of their training samples: a test that takes them for independent draws is "
    "too sure by an unknown part"
)

HOW = {
    SignFlips.test: f"the signs of each sample's part are drawn {NUM_FLIPS:,} times, or all tried "
    f"where at most {MAX_EXACT} samples differ; an exact test is not known",
}


@dataclass(frozen=True)
class Verdict:
    """The word, and the sentence that gives its reason in numbers."""

    word: Word
    text: str


def judge(metric: str, difference: Difference) -> Verdict:
    """Judge by the p-value after Holm's correction; `difference` is ours less the baseline's.

    That it was corrected is to be said beside, once for all comparisons (`corrected`).
    """
    told = f"{_size(metric, difference)}; {p_shown(difference)}, {difference.method.test}"
    if not difference.is_shown:
        word: Word = "no evidence of a difference"
        outlook = _outlook(difference)
        return Verdict(word, f"{word} ({told}; {outlook})" if outlook else f"{word} ({told})")
    falls = is_lower_better(metric)
    word = "better" if (difference.value < 0) == falls else "worse"
    return Verdict(word, f"{word} ({told})")


def p_shown(difference: Difference) -> str:
    """`p = 0.034`; after Holm's correction where there are several comparisons."""
    return f"p {p_value(difference.p)}"


def methods_of(differences: Iterable[tuple[str, Difference]]) -> list[str]:
    """A sentence for each test, by metric, that says that both p and interval are its own."""
    metrics: dict[str, dict[str, None]] = {}
    for metric, difference in differences:
        metrics.setdefault(difference.method.test, {})[metric] = None
    return [
        f"{', '.join(names)}: p and interval are both of {_named(test)}, and 0 lies outside "
        f"exactly where p < {LEVEL:g}{f' ({HOW[test]})' if test in HOW else ''}"
        for test, names in metrics.items()
    ]


def _named(test: str) -> str:
    return test if test[0].isupper() else f"the {test}"


def corrected(num_comparisons: int, beside: str) -> str:
    """The sentence on Holm's correction; empty of one comparison."""
    if num_comparisons < 2:
        return ""
    return (
        f"p is after Holm's correction for {num_comparisons} comparisons{beside}, and each "
        "interval is of the level of its place in Holm's order"
    )


def _size(metric: str, difference: Difference) -> str:
    """`2 of 1226 samples`, or the difference with its interval."""
    counts = difference.counts
    if counts is not None:
        return f"{abs(counts.num_more)} of {counts.num_samples} samples"
    shown = difference_shown(metric, difference)
    noun = difference.unit.removesuffix("s")
    if difference.sizes is None:
        return f"{shown}, {counted(difference.count, noun)}"
    ours, theirs = difference.sizes
    alone = (
        "; the std of one run is not known, and taken to be the others'"
        if 1 in (ours, theirs)
        else ""
    )
    return f"{shown}, {counted(ours, noun)} against {theirs}{alone}"


def difference_shown(metric: str, difference: Difference) -> str:
    """`+0.16 points (-0.98 to +1.31)`."""
    shown = formatting.difference(metric, difference.value, 0.0)
    ends = difference.interval
    return shown if ends is None else f"{shown} ({ends_shown(metric, ends)})"


def ends_shown(metric: str, ends: tuple[float, float]) -> str:
    """`-0.98 to +1.31`; an end beside 0 has so many digits that it is not shown as 0."""
    scale, kind = (100, "f") if formatting.is_fraction(metric) else (1, "g")
    texts = []
    for end in ends:
        for digits in range(2 if kind == "f" else 3, 10):
            text = f"{scale * end:+.{digits}{kind}}"
            if float(text) or not end:
                break
        texts.append(text)
    return " to ".join(texts)


def _outlook(difference: Difference) -> str:
    """The reason why it is no proof, and how much would be one where that is known."""
    alone, num_comparisons = difference.p_alone, difference.num_comparisons
    if alone < LEVEL:
        return (
            f"p {p_value(alone)} alone, before Holm's correction for {num_comparisons} comparisons"
        )
    if difference.num_needed is None:  # none shows a difference of nothing
        return ""
    return (
        f"about {difference.num_needed:,} {difference.unit} would show it, at {100 * POWER:g} % "
        f"power and the {100 * difference.level:.2g} % level"
    )
