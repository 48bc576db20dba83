"""Runs that were finished before, by the same code, and need not be run again."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from expkit.records.files import Record
from expkit.records.run.digest import read_digest
from expkit.records.run.find_run import list_runs

ENDED = ("finished", "failed")


def find_finished(
    parent: Path,
    identities: Collection[str],
    environment: Record,
    own_code: Mapping[str, str],
) -> tuple[dict[str, Path], int]:
    """The newest run of each job's config there, and how many jobs only other code has finished.

    `own_code` tells, by job, the content of the user's own modules. The data is not compared: it
    is the config that names it.
    """
    ours = {
        **(environment["git"] or {}),
        **{key: environment[key] for key in ("versions", "sources")},
    }
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
        now = {**ours, "own_code": own_code.get(digest.job)}
        if is_same_code(now, digest.code, targets_of(digest.config)):
            found[digest.job] = path
        else:
            others.add(digest.job)
    return found, len(others - found.keys())


def targets_of(config: object) -> list[str]:
    """List the targets that a config names, flat as a digest has it or not; also in lists."""
    if isinstance(config, list):
        return [target for each in config for target in targets_of(each)]
    if not isinstance(config, Mapping):
        return []
    found = [str(value) for key, value in config.items() if str(key).endswith("_target_")]
    return found + targets_of(list(config.values()))


def is_same_code(
    ours: Mapping[str, Any], theirs: Mapping[str, Any], targets: Collection[str]
) -> bool:
    """The same sources and packages; a user's own modules by their content.

    Of a run that did not record it, by a commit with nothing changed since.
    """
    packages = [
        [each.get("sources"), *(each.get("versions", {}).get(name) for name in ("expkit", "torch"))]
        for each in (ours, theirs)
    ]
    if packages[0] != packages[1]:
        return False
    contents = [each.get("own_code") for each in (ours, theirs)]
    if None not in contents:
        return contents[0] == contents[1]
    commits = [each.get("commit") for each in (ours, theirs)]
    if commits[0] != commits[1]:
        return False
    if commits[0] is None:
        return all(_is_installed(target.partition(".")[0]) for target in targets)
    return not (ours.get("dirty") or theirs.get("dirty"))


def _is_installed(package: str) -> bool:
    return package == "expkit" or package in _installed_packages()


@functools.cache
def _installed_packages() -> Collection[str]:
    return metadata.packages_distributions().keys()
