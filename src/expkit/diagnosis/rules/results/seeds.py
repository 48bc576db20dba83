"""Runs that differ in their seed alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Lt

from expkit.diagnosis.across_runs import CrossRule, Evidences, recipes_of, setup_of
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.success_counts import Outcome, outcome_of
from expkit.records.seed_groups import fold_of


@dataclass(frozen=True, kw_only=True)
class SeedDependent(CrossRule):
    """The result hangs on the draw of weights and order."""

    # chi-squared over runs as if each had samples of its own: the same samples vary less still
    significance: Annotated[float, Gt(0), Lt(1)] = 0.001
    min_range: Annotated[float, Gt(0), Lt(1)] = 0.03  # of which many samples prove too little

    def compare(self, evidences: Evidences) -> Iterable[Finding]:
        recipes, followers = recipes_of(evidences)
        drawn = " and ".join(["seed", *followers])
        for group in (seeds for recipe in recipes for seeds in _by_fold(recipe)):
            if len(group) < 2:
                continue
            yield from self._with_failures(group, drawn)
            found = {name: outcome_of(each) for name, each in group.items() if each.is_over}
            outcomes = {name: outcome for name, outcome in found.items() if outcome is not None}
            if len(outcomes) > 1:
                yield from self._with_std(outcomes, group)

    def _with_std(self, outcomes: Mapping[str, Outcome], group: Evidences) -> Iterable[Finding]:
        from scipy.stats import chi2_contingency

        rights = [(o.right, o.count - o.right) for o in outcomes.values()]
        fractions = [outcome.accuracy for outcome in outcomes.values()]
        gap = max(fractions) - min(fractions)
        if gap < self.min_range or not all(map(sum, zip(*rights, strict=True))):
            return
        p = float(chi2_contingency(rights, correction=False).pvalue)
        if p > self.significance:
            return
        first = next(iter(outcomes.values()))
        sampling = statistics.fmean((s * (1 - s) / first.count) ** 0.5 for s in fractions)
        yield self.finding(
            "apart",
            {
                "accuracy": {name: outcome.accuracy for name, outcome in outcomes.items()},
                "seeds": {name: group[name].config["seed"] for name in outcomes},
                "samples": first.count,
                "standard deviation over seeds": statistics.stdev(fractions),
                "of sampling alone": sampling,
                "p, chi-squared": p,
            },
            lowest=min(fractions),
            highest=max(fractions),
            split=first.split,
            num_seeds=len(fractions),
        )

    def _with_failures(self, group: Evidences, drawn: str) -> Iterable[Finding]:
        """Gates or trainings that one seed passes and another does not."""
        failed = {
            name: next((result.stage for result in each.stages if not result.passed), None)
            for name, each in group.items()
            if each.is_over
        }
        if any(failed.values()) and not all(failed.values()):
            failed_at = {name: stage for name, stage in failed.items() if stage}
            yield self.finding(
                "some_fail",
                {
                    "failed at": failed_at,
                    "passed": [name for name, stage in failed.items() if not stage],
                    "seeds": {name: group[name].config["seed"] for name in failed},
                },
                num_failed=len(failed_at),
                num_runs=len(failed),
                drawn=drawn,
                stages=", ".join(dict.fromkeys(failed_at.values())),
            )


def _by_fold(recipe: Evidences) -> list[dict[str, Evidence]]:
    """Split a recipe's runs into those of one fold, which differ in their seed alone."""
    groups: dict[int | None, dict[str, Evidence]] = {}
    for name, evidence in recipe.items():
        groups.setdefault(fold_of(setup_of(evidence).config), {})[name] = evidence
    return list(groups.values())
