"""What a comparison comes to in words: better, worse, or no evidence of a difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from expkit.records.measures import is_lower_better
from expkit.reports import wording
from expkit.reports.significance import LEVEL, Difference

Word = Literal["better", "worse", "no evidence of a difference"]

ONE_SEED_EACH = (
    "The test is about these trained models on these samples, not about the recipes: how much "
    "another seed would change is not in it. Train each over several: expkit train -m seed=0,1,2"
)

OVER_SEEDS = (
    "A test over seeds is about these recipes on these very samples: how much other samples would "
    "change is not in it"
)


@dataclass(frozen=True)
class Verdict:
    """The word, and the sentence that gives its reason in numbers."""

    word: Word
    text: str


def judge(
    metric: str, difference: Difference, adjusted: float, num_comparisons: int = 1
) -> Verdict:
    """By the p-value after Holm's correction; `difference` is ours less the baseline's.

    That it was corrected is to be said beside, once for all comparisons.
    """
    if adjusted > LEVEL:
        told = f"{_size(metric, difference)}; {_outlook(difference, adjusted, num_comparisons)}"
        word: Word = "no evidence of a difference"
        return Verdict(word, f"{word} ({told})")
    falls = is_lower_better(metric)
    word = "better" if (difference.value < 0) == falls else "worse"
    proof = f"p {_p(adjusted)}, {difference.test}"
    return Verdict(word, f"{word} ({_size(metric, difference)}; {proof})")


def _size(metric: str, difference: Difference) -> str:
    """`2 of 1226 samples`, or the difference with its interval."""
    counts = difference.counts
    if counts is not None:
        return f"{abs(counts.num_more)} of {counts.num_samples} samples"
    shown = difference_shown(metric, difference)
    unit = difference.unit.removesuffix("s") if difference.count == 1 else difference.unit
    return f"{shown}, {difference.count} {unit}"


def difference_shown(metric: str, difference: Difference) -> str:
    """`+0.16 points (-0.98 to +1.31)`."""
    shown = wording.difference(metric, difference.value, 0.0)
    if difference.interval is None:
        return shown
    scale, digits = (100, ".2f") if wording.is_share(metric) else (1, ".3g")
    low, high = (f"{scale * end:+{digits}}" for end in difference.interval)
    return f"{shown} ({low} to {high})"


def _outlook(difference: Difference, adjusted: float, num_comparisons: int) -> str:
    if difference.p <= LEVEL:
        return (
            f"p {_p(difference.p)} alone, p {_p(adjusted)} after Holm's correction for "
            f"{num_comparisons} comparisons"
        )
    if not difference.value:
        return f"no number of {difference.unit} shows a difference of nothing"
    if difference.num_needed is None:
        return f"p {_p(difference.p)}, {difference.test}"
    alone = " alone, and more after Holm's correction" if num_comparisons > 1 else ""
    return f"about {difference.num_needed:,} {difference.unit} would be needed to see it{alone}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}"
