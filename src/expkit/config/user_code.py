"""A user's own code: the conf/ and the modules of the working directory, and nothing near a run.

A folder of runs may be a stranger's gift, so whatever lies in one is data. No folder is added to
the import path either: torch and others import optional packages by name (`dill`, for one), which
would then be taken from the working directory. Only modules that a config names are found there,
and the modules beside them that these import.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

MAX_DEPTH, MAX_FOLDERS = 6, 10_000  # of folders that are looked through for runs
ENVIRONMENT_FOLDERS = frozenset({"site-packages", "dist-packages"})
# a run has a config and one of these, or a sweep its plan; no project of a user's has
RUN_FILES = ("environment.json", "dataset.json", "stages.jsonl", "history.jsonl", "overrides.yaml")


def own_folder() -> Path | None:
    """The working directory, or None where it is a run, lies in one, or holds runs."""
    here = Path.cwd()
    is_among_runs = any(map(is_run, (here, *here.parents))) or find_run_in(here) is not None
    return None if is_among_runs else here


def is_run(folder: Path) -> bool:
    """Tell whether a folder is that of a run or of a sweep."""
    if (folder / "sweep.json").exists():
        return True
    return (folder / "config.yaml").exists() and any((folder / name).exists() for name in RUN_FILES)


def find_run_in(folder: Path) -> Path | None:
    """The first run or sweep that lies directly in a folder, or None."""
    try:
        with os.scandir(folder) as entries:
            return next((Path(each) for each in entries if _may_be_run(each)), None)
    except OSError:
        return None


def _may_be_run(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and is_run(Path(entry))


def holds_runs(folder: Path) -> bool:
    """Tell whether runs lie anywhere in a folder: code beside them may be a stranger's."""
    levels = len(folder.parts)
    for num_seen, (path, folders, _) in enumerate(os.walk(folder)):
        is_deep = len(Path(path).parts) - levels >= MAX_DEPTH
        if any(is_run(Path(path, name)) for name in folders) or num_seen >= MAX_FOLDERS:
            return True
        folders[:] = [] if is_deep else [name for name in folders if not name.startswith(".")]
    return False


def is_own(location: Path) -> bool:
    """Tell whether a module's file is the user's own: below the working directory, not installed,
    and not in or beside a run."""
    here = own_folder()
    if here is None or not location.is_absolute():
        return False
    prefixes = map(Path, (sys.prefix, sys.base_prefix))
    environments = [prefix for prefix in prefixes if prefix.is_relative_to(here)]
    paths = (location, location.resolve())
    is_installed = any(
        ENVIRONMENT_FOLDERS & set(path.parts) or any(map(path.is_relative_to, environments))
        for path in paths
    )
    if is_installed or not any(path.is_relative_to(here) for path in paths):
        return False
    # a link may lead into a run, and a run into a folder of links
    above = {folder for path in paths for folder in path.parents}
    below = [folder for folder in above if folder.is_relative_to(here) and folder != here]
    return not any(map(is_run, above)) and not any(map(holds_runs, below))


def why_not_own(location: Path) -> str | None:
    """Say which run keeps a module below the working directory from being the user's own."""
    here = Path.cwd()
    if not location.is_relative_to(here) or ENVIRONMENT_FOLDERS & set(location.parts):
        return None
    for folder in (*location.parents,):
        run = folder if is_run(folder) else None
        if run is None and folder.is_relative_to(here):
            run = find_run_in(folder)
            if run is None and folder != here and holds_runs(folder):
                if _has_many_folders(folder):
                    return (
                        f"{location.name} lies in {folder.name}/, of whose over {MAX_FOLDERS:,} "
                        "folders not all are looked through for runs, beside which code is taken "
                        f"for a stranger's: move {_fullest(folder)} out of {folder.name}/"
                    )
                run = folder
        if run is not None:
            return f"{location.name} is no code of yours: it lies in or beside the run {run.name}"
    return None


def _has_many_folders(folder: Path) -> bool:
    """Tell whether a folder was given up on, and no run was seen in it."""
    return next(itertools.islice(_folders_below(folder), MAX_FOLDERS, None), None) is not None


def _folders_below(folder: Path) -> Iterator[Path]:
    levels = len(folder.parts)
    for path, folders, _ in os.walk(folder):
        yield Path(path)
        is_deep = len(Path(path).parts) - levels >= MAX_DEPTH
        folders[:] = [] if is_deep else [name for name in folders if not name.startswith(".")]


def _fullest(folder: Path) -> str:
    """Return the folder in it that holds the most, as a user would name it."""
    inside = [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]
    counts = {
        each: sum(1 for _ in itertools.islice(_folders_below(each), MAX_FOLDERS)) for each in inside
    }
    return f"{folder.name}/{max(counts, key=counts.__getitem__).name}"


def find_here(name: str) -> ModuleSpec | None:
    """Find a top-level module of this name in the working directory, without importing it."""
    return PathFinder.find_spec(name, [str(Path.cwd())])


# Importing it, once it has been checked.


class OwnModules(MetaPathFinder):
    """Finds in the working directory those modules that were let in by name, and no others."""

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self.folders.get(fullname)
        return (
            None if path is not None or folder is None else PathFinder.find_spec(fullname, [folder])
        )


FINDER = OwnModules()


def let_in(targets: Iterable[str]) -> None:
    """Make the modules of checked targets importable, with those beside them that they import."""
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)  # the last: what is installed comes first
    here = str(Path.cwd())
    checked = {target.partition(".")[0] for target in targets}
    waiting = list(checked)
    while waiting:
        name = waiting.pop()
        if FINDER.folders.get(name) != here and not _is_installed(name):
            spec = find_here(name)
            if spec is not None and (name in checked or _is_own_module(spec)):
                FINDER.folders[name] = here
                waiting += _imported_names(spec)


def _is_own_module(spec: ModuleSpec) -> bool:
    """Tell whether a module that own code imports is the user's, too, and lies by no run."""
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return all(is_own(Path(place)) for place in places)


def targets_in(node: object) -> Iterator[str]:
    """Every `_target_` of a part and of the parts within it."""
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets_in(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from targets_in(value)


def hash_own_code(config: object) -> str:
    """One word for the content of all own modules that a config names, and of those they import.

    It is that of no content where a config names none.
    """
    files = {file.resolve() for _, spec in _own_specs(config) for file in _sources(spec)}
    return _hash(files)


def hash_own_modules(config: object) -> dict[str, str]:
    """One word for the content of each own module that a config names, and of those imported."""
    return {name: _hash(set(_sources(spec))) for name, spec in _own_specs(config)}


def _own_specs(config: object) -> Iterator[tuple[str, ModuleSpec]]:
    waiting = [target.partition(".")[0] for target in targets_in(config)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        spec = None if name in seen or name in sys.stdlib_module_names else find_here(name)
        seen.add(name)
        if spec is not None:
            yield name, spec
            waiting += _imported_names(spec)


def _hash(files: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for file in sorted(files):
        with contextlib.suppress(OSError):  # importing it will say so
            code = file.read_bytes()
            content.update(f"{file.name}\0{len(code)}\0".encode() + code)
    return content.hexdigest()[:16]


@functools.cache
def _is_installed(name: str) -> bool:
    if name in sys.stdlib_module_names:
        return True
    finders = [each for each in sys.meta_path if each is not FINDER]
    return any(each.find_spec(name, None) is not None for each in finders)


def _imported_names(spec: ModuleSpec) -> Iterator[str]:
    """The top-level names that a module's or a package's sources import."""
    for file in _sources(spec):
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # importing it will say so
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                yield node.module.partition(".")[0]


def _sources(spec: ModuleSpec) -> Iterator[Path]:
    if spec.submodule_search_locations is not None:
        for folder in spec.submodule_search_locations:
            yield from Path(folder).rglob("*.py")
    elif spec.origin is not None and spec.origin.endswith(".py"):
        yield Path(spec.origin)
