"""Several runs held against each other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examination import GROUP, Rules, complete, keep_roots, sort
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule

Evidences = Mapping[str, Evidence]  # by the runs' names

# what names a run or judges it, rather than sets it up
NOT_SETTINGS = frozenset(
    {
        *("name", "hypothesis", "compared_with", "criteria", "reference", "output_dir"),
        *("trust", "hydra", "plots", GROUP),
    }
)


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


def alike_but_for(evidences: Evidences, *keys: str) -> list[dict[str, Evidence]]:
    """The groups of two runs or more that differ in nothing but these of the config's keys."""
    groups: list[tuple[Any, dict[str, Evidence]]] = []
    for name, evidence in evidences.items():
        ignored = NOT_SETTINGS | set(keys)
        splits = {split: each.fingerprint for split, each in evidence.facts.splits.items()}
        settings = ({k: v for k, v in evidence.config.items() if k not in ignored}, splits)
        for known, group in groups:
            if known == settings:
                group[name] = evidence
                break
        else:
            groups.append((settings, {name: evidence}))
    return [group for _, group in groups if len(group) > 1]
