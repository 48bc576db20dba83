"""Samples of an evaluation that the evaluated model was trained on: its figures are no test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.run.metadata import SplitLeaks, TrainedBy


@dataclass(frozen=True, kw_only=True)
class LeakedSamples(Rule):
    """Training samples of the evaluated run in the data that it is evaluated on."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        trained_by = evidence.metadata.trained_by
        if trained_by is None or trained_by.leaks is None:
            return
        if trained_by.leaks.unchecked is not None:
            yield self.finding(
                "not_checked",
                {"training samples": evidence.metadata.splits["train"].num_samples},
                run=trained_by.run,
                reason=trained_by.leaks.unchecked,
            )
        judged = evidence.metadata.judged_split
        # a train that nothing is judged on holds nothing out, and is often the run's own
        there = [
            each for each in trained_by.leaks.splits.items() if each[0] in ("val", "test", judged)
        ]
        splits = sorted(there, key=lambda each: each[0] != judged)
        leaked = {name: found for name, found in splits if found.count}
        alike = {name: found for name, found in splits if found.near}
        if leaked:
            yield self._leaked(leaked, trained_by, evidence)
        elif alike:
            yield self._merely_alike(alike, trained_by, evidence)

    def _leaked(
        self, splits: Mapping[str, SplitLeaks], trained_by: TrainedBy, evidence: Evidence
    ) -> Finding:
        exact = sum(each.exact for each in splits.values())
        near = sum(each.count - each.exact for each in splits.values())
        counts = {name: each.count for name, each in splits.items()}
        alone = "identical" if exact else "near_copies"
        return self.finding(
            "identical_and_near_copies" if exact and near else alone,
            {"exact": exact, "near": near, "images": _pairs(splits, trained_by)},
            samples=_samples(counts, evidence),
            count=exact + near,
            run=trained_by.run,
            splits=" and ".join(splits),
        )

    def _merely_alike(
        self, splits: Mapping[str, SplitLeaks], trained_by: TrainedBy, evidence: Evidence
    ) -> Finding:
        counts = {name: each.near for name, each in splits.items()}
        return self.finding(
            "merely_alike",
            {"near": sum(counts.values()), "images": _pairs(splits, trained_by)},
            samples=_samples(counts, evidence),
            run=trained_by.run,
        )


def _samples(counts: Mapping[str, int], evidence: Evidence) -> str:
    totals = {name: evidence.metadata.splits[name].num_samples for name in counts}
    return " and ".join(f"{n} of {totals[name]} samples of {name}" for name, n in counts.items())


def _pairs(splits: Mapping[str, SplitLeaks], trained_by: TrainedBy) -> list[str]:
    return [
        f"{name}/{ours} = {trained_by.run}/train/{theirs}"
        for name, found in splits.items()
        for ours, theirs, _ in found.pairs
    ]
