"""Samples of an evaluation that the evaluated model was trained on: its figures are no test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.run.metadata import Leaks, SplitLeaks, TrainedBy

LEARNT = "the model has been shown the labels: on these samples it recalls, and is not tested"


@dataclass(frozen=True, kw_only=True)
class LeakedSamples(Rule):
    """Training samples of the evaluated run in the data that it is evaluated on."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        trained_by = evidence.metadata.trained_by
        if trained_by is None or trained_by.leaks is None:
            return
        if trained_by.leaks.unchecked is not None:
            yield _not_checked(trained_by, trained_by.leaks, evidence)
        judged = evidence.metadata.judged_split
        # a train that nothing is judged on holds nothing out, and is often the run's own
        there = [
            each for each in trained_by.leaks.splits.items() if each[0] in ("val", "test", judged)
        ]
        splits = sorted(there, key=lambda each: each[0] != judged)
        leaked = {name: found for name, found in splits if found.count}
        alike = {name: found for name, found in splits if found.near}
        if leaked:
            yield _leaked(leaked, trained_by, evidence)
        elif alike:
            yield _merely_alike(alike, trained_by, evidence)


def _leaked(splits: Mapping[str, SplitLeaks], trained_by: TrainedBy, evidence: Evidence) -> Finding:
    exact = sum(each.exact for each in splits.values())
    near = sum(each.count - each.exact for each in splits.values())
    kinds = {"byte for byte": exact, "as near copies": near}
    counts = {name: each.count for name, each in splits.items()}
    are = "are training samples" if exact + near > 1 else "is a training sample"
    return Finding(
        severity="warning",
        sentence=f"{_told(counts, evidence)} {are} of {trained_by.run}: "
        + ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count),
        evidence={"exact": exact, "near": near, "images": _listed(splits, trained_by)},
        cause=LEARNT,
        command=f"take the listed images out of {' and '.join(splits)}, and evaluate again",
    )


def _merely_alike(
    splits: Mapping[str, SplitLeaks], trained_by: TrainedBy, evidence: Evidence
) -> Finding:
    counts = {name: each.near for name, each in splits.items()}
    are = "are" if sum(counts.values()) > 1 else "is"
    return Finding(
        severity="info",
        sentence=f"{_told(counts, evidence)} {are} nearly the same as a training sample of "
        f"{trained_by.run}, as its training samples are among themselves",
        evidence={"near": sum(counts.values()), "images": _listed(splits, trained_by)},
        cause="the images are much alike, or several were taken of each thing",
        command="look at a few of the listed pairs; images of one thing belong into one split",
    )


def _not_checked(trained_by: TrainedBy, leaks: Leaks, evidence: Evidence) -> Finding:
    return Finding(
        severity="info",
        sentence=f"training samples of {trained_by.run} could not all be looked for: "
        f"{leaks.unchecked}",
        evidence={"training samples": evidence.metadata.splits["train"].num_samples},
        cause="its training data was moved, changed or deleted after the training",
        command="bring the training data back, and evaluate again",
    )


def _told(counts: Mapping[str, int], evidence: Evidence) -> str:
    totals = {name: evidence.metadata.splits[name].num_samples for name in counts}
    return " and ".join(f"{n} of {totals[name]} samples of {name}" for name, n in counts.items())


def _listed(splits: Mapping[str, SplitLeaks], trained_by: TrainedBy) -> list[str]:
    return [
        f"{name}/{ours} = {trained_by.run}/train/{theirs}"
        for name, found in splits.items()
        for ours, theirs, _ in found.pairs
    ]
