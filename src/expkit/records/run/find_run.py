"""A run named by a word: its path, a unique part of its name, or `last`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.errors import UserError, nearest_of
from expkit.records.exported import RECORDS, is_exported, lacks_records
from expkit.records.run.reader import Run, exists, is_run


def run_at(path: Path) -> Run | None:
    """The run of a folder, or the records of an exported model; None where it is neither."""
    if is_run(path):
        return Run(path)
    return Run(path / RECORDS) if is_exported(path) else None


def list_runs(parent: Path) -> list[Path]:
    """The runs in a folder and in its sweeps, oldest first; no exported models."""
    found: list[Path] = []
    for path in parent.glob("[!.]*"):
        if is_run(path):
            found.append(path)
        elif not is_exported(path):  # which is named by its path
            found += [sub for sub in path.glob("[!.]*") if is_run(sub)]
    return sorted(
        found, key=lambda path: (path.name[:15], (path / "config.yaml").stat().st_mtime_ns)
    )


def find_run(text: str, parent: Path = Path("outputs")) -> Run:
    """The run named by a path, by a unique part of its name, or by `last`; an exported model."""
    if (named := run_at(Path(text))) is not None:
        return named
    runs = list_runs(parent)
    if text == "last" and runs:
        return Run(runs[-1])
    matches = match_names(text, runs)
    if len(matches) == 1:
        return Run(matches[0])
    raise no_such_run(text, parent, runs, matches)


def match_names(text: str, paths: Sequence[Path]) -> list[Path]:
    """Those with this whole name, else with this part after the date, else with any such part."""
    return (
        [path for path in paths if path.name == text]
        or [path for path in paths if path.name.endswith(f"_{text}")]
        or [path for path in paths if text in path.name]
    )


def no_such_run(text: str, parent: Path, runs: list[Path], matches: list[Path]) -> UserError:
    """Make the error for a word that names no run, or several."""
    if lacks_records(Path(text)):
        return UserError(
            f"'{text}' is an exported model without its records, which say how it is used",
            where=str(Path(text) / RECORDS),
            fix="copy the exported folder as a whole, or export it again: "
            "expkit export RUN --to FOLDER",
        )
    listed = "\n".join(path.name for path in (matches or runs)[-8:])
    if matches:
        what = f"'{text}' is a part of {len(matches)} runs' names"
    elif exists(Path(text)):
        what = f"'{text}' is no run folder: it has no config.yaml and environment.json"
    elif not runs:
        what = f"there is no run '{text}': '{parent}' holds none"
    else:
        what = f"there is no run '{text}' in '{parent}'"
    return UserError(
        what,
        nearest=nearest_of(text, [path.name for path in runs]),
        allowed=f"a path, a unique part of a name, or last\n{listed}".strip(),
        fix=None if runs else "expkit train",
    )
