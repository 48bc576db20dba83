"""Differences that other samples of the same kind might have turned round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Lt

from expkit.diagnosis.commands import SEEDS, train_again
from expkit.diagnosis.comparison import CrossRule, Evidences
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.mcnemar import McNemar, round_up
from expkit.diagnosis.outcome import Outcome, answers_of, outcome_of, percent
from expkit.records.criteria import parse_criterion

if TYPE_CHECKING:
    from expkit.records.predictions import ClassPredictions


@dataclass(frozen=True, kw_only=True)
class WithinNoiseOfBaseline(CrossRule):
    """An accuracy, or the better of two, that these samples do not prove."""

    significance: Annotated[float, Gt(0), Lt(1)] = 0.05

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        """Against what was stated beforehand: the largest class, the criterion, the reference."""
        if answers_of(evidence) is None:
            return
        outcome = outcome_of(evidence)
        assert outcome is not None, "there are answers"
        low, high = outcome.interval
        near = {name: v for name, v in _baselines(evidence, outcome).items() if low <= v <= high}
        if near:
            yield Finding(
                severity="info",
                sentence=f"{percent(outcome.accuracy)} on {outcome.split} is within the noise of "
                + " and of ".join(f"{name}, {percent(value)}" for name, value in near.items())
                + f": {outcome.count} samples leave {percent(low)} to {percent(high)} open",
                evidence={
                    "accuracy": outcome.accuracy,
                    "right": outcome.right,
                    "samples": outcome.count,
                    "95 % interval": [low, high],
                    **near,
                },
                cause="so few samples cannot tell figures so near to each other apart",
                command=f"measure on {_samples_wanted(outcome, near)}, or over several seeds:\n"
                + train_again(evidence.overrides, SEEDS, is_sweep=True),
            )

    def compare(self, evidences: Evidences) -> Iterable[Finding]:
        """The best run beside every other that answered the same samples."""
        for answered in _on_same_samples(evidences):
            right = {name: answers.ranks == 0 for name, answers in answered.items()}
            best = max(right, key=lambda name: int(right[name].sum()))
            pairs = {
                name: pair
                for name in right
                if name != best
                and (pair := McNemar.of(right[best], right[name])).p > self.significance
            }
            if pairs:
                yield _no_evidence(best, pairs, answered[best], right)


def _baselines(evidence: Evidence, outcome: Outcome) -> dict[str, float]:
    """What the accuracy is held against, by its name."""
    found = {"the largest class": outcome.majority}
    for name, condition in (evidence.config.get("criteria") or {}).items():
        criterion = parse_criterion(name, condition)
        is_ours = (
            criterion.metric == "accuracy" and criterion.split(evidence.facts) == outcome.split
        )
        if is_ours and criterion.is_met(outcome.accuracy):  # a miss is told as a miss
            found["the criterion it meets"] = criterion.bound
    reference = evidence.config.get("reference") or {}
    figure = (reference.get("figures") or {}).get("accuracy")
    if figure is not None:
        found["the reference"] = float(figure)
    return found


def _samples_wanted(outcome: Outcome, near: Mapping[str, float]) -> str:
    """Say how many; equal figures are told apart by no number of samples."""
    if any(abs(outcome.accuracy - value) * outcome.count < 1 for value in near.values()):
        return "more samples"
    return f"about {_samples_needed(outcome, near):,} samples"


def _samples_needed(outcome: Outcome, near: Mapping[str, float]) -> int:
    """At which none of them would lie within the interval any more, were the accuracy the same.

    Its width goes by 1 / sqrt(n). The exact interval of few samples is wider than that of many,
    and those at hand did not do: half as many again is the least.
    """
    p = outcome.accuracy
    gap = min(max(abs(p - value), 0.001) for value in near.values())
    return round_up(max(1.96**2 * max(p * (1 - p), 0.01) / gap**2, 1.5 * outcome.count))


def _on_same_samples(evidences: Evidences) -> list[dict[str, ClassPredictions]]:
    """The runs' answers, those to the very same samples together."""
    groups: dict[tuple[Any, ...], dict[str, ClassPredictions]] = {}
    for name, evidence in evidences.items():
        answers = answers_of(evidence)
        if answers is not None:
            print_ = evidence.facts.splits[answers.split].fingerprint
            key = (print_, tuple(answers.samples), tuple(answers.class_names))
            groups.setdefault(key, {})[name] = answers
    return [group for group in groups.values() if len(group) > 1]


def _no_evidence(
    best: str, pairs: Mapping[str, McNemar], answers: ClassPredictions, right: Mapping[str, Any]
) -> Finding:
    total = len(answers.targets)
    told = []
    for name in pairs:
        told.append(
            f"{name}, {percent(float(right[name].mean()))}: {pairs[name].num_more} of {total} "
            f"samples, p = {pairs[name].p:.2f}"
        )
    return Finding(
        severity="info",
        sentence=f"no evidence that {best}, {percent(float(right[best].mean()))} on "
        f"{answers.split}, is better than {'; '.join(told)}",
        evidence={
            "best": best,
            "samples": total,
            "right": {name: int(right[name].sum()) for name in [best, *pairs]},
            "only best right": {name: pair.only_ours for name, pair in pairs.items()},
            "only other right": {name: pair.only_theirs for name, pair in pairs.items()},
            "p, McNemar exact": {name: pair.p for name, pair in pairs.items()},
        },
        cause="so few samples cannot tell runs so near to each other apart",
        command="measure both on more samples, or train each over several seeds, by -m and "
        f"{SEEDS[0]} in its command",
    )
