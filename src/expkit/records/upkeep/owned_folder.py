"""The folders that may be removed, pruned or archived: whole runs and sweeps, and nothing else."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import read_json
from expkit.records.folder_size import FolderSize
from expkit.records.run.find_run import list_runs
from expkit.records.run.reader import Run
from expkit.records.run.writer import hold_lock, is_locked
from expkit.records.safe_open import not_a_file
from expkit.records.sweep.folder import Sweep, find_run_or_sweep
from expkit.sanitize import one_line

Found = Run | Sweep
OWN_KEYS = {"run": ("environment.json", "command"), "sweep": ("sweep.json", "command")}


def find_owned(word: str) -> Found:
    """Return the run or sweep of a word, if it is one without a doubt.

    A link is refused, as what it leads to lies elsewhere; so is a folder in which one stands, or
    that holds runs of its own and is no sweep.
    """
    if Path(word).is_symlink():
        raise not_a_file(Path(word))
    found = find_run_or_sweep(word)
    path = found.path
    if path.is_symlink():
        raise not_a_file(path)
    if isinstance(found, Run) and found.exported is not None:
        raise found.exported.refuse(
            "it is no run folder, and is yours to move or remove", f"ls {shlex.quote(word)}"
        )
    if Path.cwd().is_relative_to(path.resolve()):
        raise _refused(found, "you stand in it", "cd to another folder first")
    file, key = OWN_KEYS["run" if isinstance(found, Run) else "sweep"]
    if key not in read_json(path / file):
        raise _refused(found, f"its {file} is none that expkit has written", "look into it")
    if isinstance(found, Run):
        _ = found.config  # one that cannot be read is not known to be a run
        if list_runs(path):
            raise _refused(found, "other runs lie in it", f"expkit runs {shlex.quote(str(path))}")
    return found


def runs_of(found: Found) -> list[Run]:
    """Return the run itself, or those that lie in a sweep."""
    if isinstance(found, Run):
        return [found]
    return [Run(path) for path in list_runs(found.path) if not path.is_symlink()]


def size_of(found: Found) -> int:
    """Return the bytes of all its files."""
    return FolderSize.of(found.path).num_bytes


@contextlib.contextmanager
def held(all_found: Sequence[Found]) -> Iterator[None]:
    """Keep other processes from going on with any of these; one that is running is refused."""
    with contextlib.ExitStack() as locks:
        for found in all_found:
            if isinstance(found, Run):
                _refuse_running_sweep(found)
            for each in dict.fromkeys([found.path, *(run.path for run in runs_of(found))]):
                lock = hold_lock(each)
                if lock is None:
                    raise _refused(
                        found,
                        f"{'it' if each == found.path else one_line(each.name)} is running",
                        f"expkit show {shlex.quote(str(each))}   (watch it, or stop that process)",
                    )
                locks.callback(os.close, lock)
        yield


def _refuse_running_sweep(run: Run) -> None:
    """A sweep under way counts on its runs."""
    parent = run.path.absolute().parent
    if (parent / "sweep.json").exists() and is_locked(parent):
        raise _refused(
            run, "its sweep is running", f"expkit show {shlex.quote(str(parent))}   (watch it)"
        )


def _refused(found: Found, why: str, fix: str) -> UserError:
    return UserError(f"'{found.name}' is left as it is: {why}", where=str(found.path), fix=fix)
