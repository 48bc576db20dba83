"""Runs that are meant by words: paths, parts of names, sweeps, folders of runs, and globs."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from expkit.records.run import Run, exists, find_run, is_run, list_runs

OUTPUTS = Path("outputs")


def find_runs(words: Iterable[str]) -> list[Run]:
    """Each run once, in the order of the words; one that means nothing is refused."""
    paths = [path for word in words for path in _find(word)]
    # a run that is meant twice is one, by whatever path
    return [Run(path) for path in {path.resolve(): path for path in reversed(paths)}.values()][::-1]


def _find(word: str) -> list[Path]:
    path = Path(word)
    if exists(path):
        return _within(path) or [find_run(word).path]
    if glob.has_magic(word):
        found = [run for hit in _expand(word) for run in _within(hit)]
        if found:
            return found
    return [find_run(word).path]


def _expand(pattern: str) -> Sequence[Path]:
    """Paths, else runs and sweeps of the output folder by their names."""
    paths = [Path(text) for text in sorted(glob.glob(pattern))]  # noqa: PTH207, also absolute ones
    if paths:
        return paths
    return [path for path in sorted(OUTPUTS.glob("[!.]*")) if fnmatchcase(path.name, pattern)]


def _within(path: Path) -> list[Path]:
    """The run itself, or the runs of a sweep or of any folder; none in a file."""
    if is_run(path):
        return [path]
    return list_runs(path) if path.is_dir() else []
