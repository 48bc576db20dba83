"""An ablation's hypothesis judged: its claims, each tested against its bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from expkit.metrics.mcnemar import LEVEL
from expkit.metrics.names import is_lower_better
from expkit.metrics.p_values import holm, p_value
from expkit.metrics.seed_differences import Student
from expkit.records.sweep.ablation_claims import EVERY, Claim, parse_claims
from expkit.reports import formatting
from expkit.reports.sweep.ablation import AblationResult, Worth

Word = Literal["shown", "refuted", "not decided"]


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with the one-sided p of it, and of its contrary after Holm's correction."""

    claim: Claim
    worth: Worth
    p_shown: float | None = None  # None where there are fewer than two seeds
    p_refuted: float | None = None

    @property
    def word(self) -> Word:
        if self.p_shown is None or self.p_refuted is None:
            return "not decided"
        if self.p_shown < LEVEL:
            return "shown"
        return "refuted" if self.p_refuted < LEVEL else "not decided"


@dataclass(frozen=True)
class AblationVerdict:
    """Shown where every claim is, refuted where one is, else not decided."""

    objective: str
    claims: Sequence[JudgedClaim]

    @property
    def word(self) -> Word:
        """All must be shown, which needs no correction; any one refuted is enough, which does."""
        words = {each.word for each in self.claims}
        if "refuted" in words:
            return "refuted"
        return "shown" if words == {"shown"} else "not decided"

    @property
    def text(self) -> str:
        """`refuted: it is not so that x costs less than 1 point (-5.20 points ..., p = 0.008)`."""
        decisive = [each for each in self.claims if each.word == self.word]
        told = "; ".join(_told(self.objective, each) for each in decisive)
        return f"{self.word}: {told}"


def judge_hypothesis(result: AblationResult, stated: object) -> AblationVerdict | None:
    """By the claims that its sweep stated; None where it stated none."""
    if not isinstance(stated, dict) or not stated:
        return None
    changes = dict.fromkeys([worth.name for worth in result.worths])
    changes |= dict.fromkeys(name for name in stated if name != EVERY)  # also those left out
    return judge_claims(result, parse_claims(stated, changes))


def judge_claims(result: AblationResult, claims: Sequence[Claim]) -> AblationVerdict:
    """One-sided t tests over seeds: non-inferiority where the bound is a cost that is allowed."""
    worths = {worth.name: worth for worth in result.worths}
    beside = [worths.get(claim.change, Worth(claim.change, {}, [], 0)) for claim in claims]
    tests = [_p_values(claim, worth) for claim, worth in zip(claims, beside, strict=True)]
    refuting = iter(holm([test[1] for test in tests if test is not None]))
    judged = [
        JudgedClaim(claim, worth)
        if test is None
        else JudgedClaim(claim, worth, test[0], next(refuting))
        for claim, worth, test in zip(claims, beside, tests, strict=True)
    ]
    return AblationVerdict(result.objective, judged)


def _p_values(claim: Claim, worth: Worth) -> tuple[float, float] | None:
    """One-sided p of the claim, and of its contrary."""
    if worth.difference is None:
        return None
    method = worth.difference.method
    assert isinstance(method, Student), "an ablation is over seeds"
    above, below = method.p_above(claim.bound), method.p_below(claim.bound)
    return (above, below) if claim.relation == ">" else (below, above)


def in_words(objective: str, claim: Claim) -> str:
    """`costs less than 1 point`, `hurts`, `gains less than 0.5 points`."""
    sign = -1 if is_lower_better(objective) else 1
    bound, is_above = sign * claim.bound, (claim.relation == ">") == (sign > 0)
    if not bound:
        return "helps" if is_above else "hurts"
    verb = "gains" if bound > 0 else "costs"
    more = "more" if is_above == (bound > 0) else "less"
    amount = f"{abs(bound):g}"
    if formatting.is_fraction(objective):
        amount = f"{100 * abs(bound):g}"
        amount += " point" if amount == "1" else " points"
    return f"{verb} {more} than {amount}"


def _told(objective: str, judged: JudgedClaim) -> str:
    claim = f"{judged.claim.change} {in_words(objective, judged.claim)}"
    before = {"shown": "", "refuted": "it is not so that ", "not decided": "whether "}[judged.word]
    p = judged.p_refuted if judged.word == "refuted" else judged.p_shown
    if p is None:
        known = "one seed alone" if judged.worth.pairs else "no figure"
    else:
        gain = formatting.difference(objective, judged.worth.gain, 0.0)
        known = f"{gain} over {judged.worth.num_seeds} seeds, p {p_value(p)}"
    return f"{before}{claim} ({known})"
