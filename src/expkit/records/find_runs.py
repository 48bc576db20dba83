"""Runs named by words: paths, parts of names, sweeps, folders of runs, and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from expkit.records.run.find_run import list_runs, run_at
from expkit.records.run.reader import Run, exists
from expkit.records.sweep.folder import Sweep, find_run_or_sweep, is_sweep

OUTPUTS = Path("outputs")
INDEX = "index.html"  # the page of all runs, which a shell's `outputs/*` names with them


def find_runs(words: Iterable[str]) -> list[Run]:
    """Each run once, in the order of the words; one that means nothing is refused."""
    given = list(words)
    named = [word for word in given if Path(word).name != INDEX or not exists(Path(word))]
    paths = [path for word in named or given for path in _find(word)]
    # a run that is named twice is one, by whatever path
    return [Run(path) for path in {path.resolve(): path for path in reversed(paths)}.values()][::-1]


def _find(word: str) -> list[Path]:
    path = Path(word)
    hits = [path] if exists(path) else _expand(word) if glob.has_magic(word) else []
    found = [run for hit in hits for run in _within(hit)]
    if found or (exists(path) and is_sweep(path)):
        return found
    named = find_run_or_sweep(word)
    return [named.path] if isinstance(named, Run) else _within(named.path)


def _expand(pattern: str) -> Sequence[Path]:
    """Paths, else runs and sweeps of the output folder by their names."""
    paths = [Path(text) for text in sorted(glob.glob(pattern))]  # noqa: PTH207, also absolute ones
    if paths:
        return paths
    return [path for path in sorted(OUTPUTS.glob("[!.]*")) if fnmatchcase(path.name, pattern)]


def _within(path: Path) -> list[Path]:
    """The run itself, also of an exported model, a sweep's runs, or those of any folder."""
    if (run := run_at(path)) is not None:
        return [run.path]
    if is_sweep(path):
        return [job.run.path for job in Sweep(path).jobs if job.run is not None]
    return list_runs(path) if path.is_dir() else []
