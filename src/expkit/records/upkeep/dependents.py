"""Runs that need another run: they evaluate it, start from it, are made of it, or took it over."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expkit.errors import UserError
from expkit.records.run.digest import read_digest
from expkit.records.run.ensemble import read_ensemble
from expkit.records.run.find_run import list_runs
from expkit.records.run.reader import Run
from expkit.records.seed_groups import flatten
from expkit.records.sweep.folder import Sweep, list_sweeps
from expkit.sanitize import one_line

START = ".start_from_run"


@dataclass(frozen=True)
class Dependent:
    """A run or sweep that names another run by its path."""

    name: str
    how: str  # `evaluates`, `starts from`, ...
    path: Path  # of what it names


def find_dependents(wanted: Collection[Path], folders: Sequence[Path]) -> list[Dependent]:
    """Return those in these folders that need one of the wanted runs, and are not wanted too."""
    paths = {path.resolve() for path in wanted}
    found = []
    for folder in dict.fromkeys(each.resolve() for each in folders):
        for path in list_runs(folder):
            if not _is_within(path.resolve(), paths):
                found += [each for each in _needs(path) if _is_within(each.path, paths)]
        for sweep in list_sweeps(folder):
            if not _is_within(sweep.resolve(), paths):
                found += [each for each in _taken_over(sweep) if _is_within(each.path, paths)]
    return found


def _is_within(path: Path, paths: Collection[Path]) -> bool:
    return path in paths or path.parent in paths


def _needs(path: Path) -> Iterator[Dependent]:
    """The runs that a run names; one that cannot be read names none."""
    name = one_line(path.name)
    config = _flat_config(path)
    if isinstance(source := config.get("evaluates"), str):
        yield Dependent(name, "evaluates", _resolved(source))
    for key, source in config.items():
        if key.endswith(START) and isinstance(source, str):
            yield Dependent(name, "starts from", _resolved(source))
    try:
        ensemble = read_ensemble(path)
    except (UserError, OSError):
        return
    for member in () if ensemble is None else ensemble.members:
        yield Dependent(name, "is an ensemble of", _resolved(member.path))


def _flat_config(path: Path) -> Mapping[str, Any]:
    digest = read_digest(path)
    if digest is not None:
        return digest.config
    try:
        return flatten(Run(path).config)
    except (UserError, OSError):
        return {}


def _taken_over(path: Path) -> Iterator[Dependent]:
    """The runs of other sweeps that a sweep took over."""
    try:
        jobs = Sweep(path).jobs
    except (UserError, OSError):
        return
    for job in jobs:
        for event in job.events:
            if event["event"] == "reused":
                yield Dependent(one_line(path.name), "took over", _resolved(event["run"]))


def _resolved(text: str) -> Path:
    try:
        return Path(text).resolve()
    except (OSError, ValueError):  # a name too long, or with a NUL in it
        return Path("/dev/null")
