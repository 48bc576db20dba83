"""Samples of an evaluation that the evaluated model was trained on: its figures are no test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rule import Rule
from expkit.records.facts import Leaks, SplitLeaks, TrainedBy

LEARNT = "the model has been shown the answers: on these samples it recalls, and is not tested"


@dataclass(frozen=True, kw_only=True)
class LeakedSamples(Rule):
    """Training samples of the evaluated run in the data that it is evaluated on."""

    def find(self, evidence: Evidence) -> Iterable[Finding]:
        trained_by = evidence.facts.trained_by
        if trained_by is None or trained_by.leaks is None:
            return
        if trained_by.leaks.unchecked is not None:
            yield _not_checked(trained_by, trained_by.leaks, evidence)
        for name, found in trained_by.leaks.splits.items():
            total = evidence.facts.splits[name].num_samples
            if found.count:
                yield _leaked(name, found, total, trained_by)
            elif found.near:
                yield _merely_alike(name, found, total, trained_by)


def _leaked(name: str, found: SplitLeaks, total: int, trained_by: TrainedBy) -> Finding:
    kinds = {"byte for byte": found.exact, "as near copies": found.count - found.exact}
    told = [f"{count} {kind}" for kind, count in kinds.items() if count]
    return Finding(
        severity="warning",
        sentence=f"{found.count} of {total} samples of {name} are training samples of "
        f"{trained_by.run}: {', '.join(told)}",
        evidence={**_counts(found, total), "images": _listed(name, found, trained_by)},
        cause=LEARNT,
        command=f"take the listed images out of {name}, and evaluate again",
    )


def _merely_alike(name: str, found: SplitLeaks, total: int, trained_by: TrainedBy) -> Finding:
    return Finding(
        severity="info",
        sentence=f"{found.near} of {total} samples of {name} are nearly the same as a training "
        f"sample of {trained_by.run}, as its training samples are among themselves",
        evidence={**_counts(found, total), "images": _listed(name, found, trained_by)},
        cause="the images are much alike, or several were taken of each thing",
        command="look at a few of the listed pairs; images of one thing belong into one split",
    )


def _not_checked(trained_by: TrainedBy, leaks: Leaks, evidence: Evidence) -> Finding:
    return Finding(
        severity="info",
        sentence=f"training samples of {trained_by.run} could not all be looked for: "
        f"{leaks.unchecked}",
        evidence={"training samples": evidence.facts.splits["train"].num_samples},
        cause="its training data was moved, changed or deleted after the training",
        command="bring the training data back, and evaluate again",
    )


def _counts(found: SplitLeaks, total: int) -> dict[str, object]:
    return {
        "exact": found.exact,
        "near": found.near,
        "share": (found.exact + found.near) / total,
    }


def _listed(name: str, found: SplitLeaks, trained_by: TrainedBy) -> list[str]:
    return [f"{name}/{ours} = {trained_by.run}/train/{theirs}" for ours, theirs, _ in found.pairs]
