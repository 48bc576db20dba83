"""Several runs held against each other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import GROUP, Rules, complete, keep_roots, sort
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.seed_groups import Folding, Setup, flatten, fold_draws

Evidences = Mapping[str, Evidence]  # by the runs' names


@dataclass(frozen=True, kw_only=True)
class CrossRule(Rule):
    """A cause, or a symptom, that only several runs together show."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        return ()

    @abstractmethod
    def compare(self, evidences: Evidences) -> Iterable[Finding]:
        """The findings that these runs' records prove together."""


def find_across(evidences: Evidences, rules: Rules) -> list[Finding]:
    """The findings on runs held against each other, worst first."""
    first = next(iter(evidences.values()))
    nobody = replace(first, overrides=())  # no run's words stand before the remedy
    findings = [
        complete(finding, name, nobody)
        for name, rule in rules.items()
        if isinstance(rule, CrossRule) and len(evidences) > 1
        if not any(
            name in each.config.get(GROUP, {}).get("ignore", ()) for each in evidences.values()
        )
        for finding in rule.compare(evidences)
    ]
    return sort(keep_roots(findings, rules))


def recipes_of(evidences: Evidences) -> tuple[list[dict[str, Evidence]], Sequence[str]]:
    """Group runs by their recipe, as tables and comparisons do; and the keys that follow the seed.

    A run that was made twice counts once.
    """
    names, folding = list(evidences), _fold(evidences)
    found = [{names[i]: evidences[names[i]] for i in recipe} for recipe in folding.recipes]
    return found, folding.followers


def repetitions(evidences: Evidences) -> list[dict[str, Evidence]]:
    """The groups of two runs or more of one recipe, seed and data."""
    names, groups = list(evidences), dict[int, list[int]]()
    for again, once in _fold(evidences).repeats.items():
        groups.setdefault(once, [once]).append(again)
    return [{names[i]: evidences[names[i]] for i in group} for group in groups.values()]


def setup_of(evidence: Evidence) -> Setup:
    """The part of a run's records that tells its recipe."""
    prints = {split: each.fingerprint for split, each in evidence.metadata.splits.items()}
    return Setup(flatten(evidence.config), prints)


def _fold(evidences: Evidences) -> Folding:
    return fold_draws([setup_of(each) for each in evidences.values()])
