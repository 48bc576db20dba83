"""What forbids to hold two runs' figures against each other, and what only makes it doubtful."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from expkit.records.run import Run
from expkit.reports.groups import Group

VERSIONS = ("expkit", "torch")


@dataclass(frozen=True)
class Objection:
    """A reason against a comparison."""

    text: str
    forbids: bool


def objections(ours: Group, theirs: Group, split: str | None) -> list[Objection]:
    """Against holding ours to theirs on a split; None: on what each is judged by."""
    return [*_on_samples(ours, theirs, split), *_on_code(ours, theirs)]


def _on_samples(ours: Group, theirs: Group, split: str | None) -> Iterator[Objection]:
    mine, other = (split or group.first.judged_split for group in (ours, theirs))
    if mine != other:
        if "train" in (mine, other):
            text = f"measured on {mine}, the baseline on {other}: training against held-out figures"
        else:
            text = f"measured on {mine}, the baseline on {other}: other samples"
        yield Objection(text, forbids=True)
    elif not _prints(ours, mine) or not _prints(theirs, mine):
        yield Objection(f"there is no split {mine} in both", forbids=True)
    elif _prints(ours, mine) != _prints(theirs, mine):
        text = f"other data in {mine} than the baseline's (their fingerprints differ)"
        yield Objection(text, forbids=True)
    elif mine != "train" and _prints(ours, "train") != _prints(theirs, "train"):
        yield Objection("trained on other samples than the baseline", forbids=False)


def _prints(group: Group, split: str) -> set[str]:
    found = (digest.fingerprints.get(split) for digest in group.digests)
    return {print_ for print_ in found if print_ is not None}


def _on_code(ours: Group, theirs: Group) -> Iterator[Objection]:
    mine, other = (Run(group.first.path).environment for group in (ours, theirs))
    changes = [
        f"{package} {there} -> {here}"
        for package in VERSIONS
        if (there := _version(other, package)) != (here := _version(mine, package))
    ]
    commits = [_commit(environment) for environment in (other, mine)]
    if commits[0] != commits[1]:
        changes.append(f"commit {commits[0]} -> {commits[1]}")
    elif any((environment.get("git") or {}).get("dirty") for environment in (mine, other)):
        changes.append(f"changes that were not committed, upon {commits[0]}")
    if changes:
        text = f"other code version than the baseline's, or maybe so: {', '.join(changes)}"
        yield Objection(text, forbids=False)


def _version(environment: dict[str, Any], package: str) -> str:
    return str((environment.get("versions") or {}).get(package, "unknown"))


def _commit(environment: dict[str, Any]) -> str:
    commit = (environment.get("git") or {}).get("commit")
    return str(commit)[:9] if commit else "unknown"
