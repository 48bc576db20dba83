"""Runs that were finished before, by the same code, and need not be run again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from expkit.records.digest import read_digest
from expkit.records.files import Record
from expkit.records.run import list_runs

ENDED = ("finished", "failed")


def find_finished(
    parent: Path, identities: Collection[str], environment: Record
) -> tuple[dict[str, Path], int]:
    """The newest run of each job's config there, and how many jobs only other code has finished.

    The data is not compared: it is the config that names it.
    """
    ours = {**(environment["git"] or {}), "versions": environment["versions"]}
    found: dict[str, Path] = {}
    others: set[str] = set()
    for path in list_runs(parent):
        digest = read_digest(path)
        if (
            digest is None
            or digest.job is None
            or digest.job not in identities
            or digest.status not in ENDED
        ):
            continue
        if is_same_code(ours, digest.code):
            found[digest.job] = path
        else:
            others.add(digest.job)
    return found, len(others - found.keys())


def is_same_code(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """The same commit with nothing changed since, where there is one; the same packages."""
    commits = [each.get("commit") for each in (ours, theirs)]
    versions = [
        [each.get("versions", {}).get(package) for package in ("expkit", "torch")]
        for each in (ours, theirs)
    ]
    if any(commits) and (ours.get("dirty") or theirs.get("dirty")):
        return False
    return commits[0] == commits[1] and versions[0] == versions[1]
