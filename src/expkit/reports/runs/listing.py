"""Every run and sweep of a folder as a line: ten thousand in a second or two, without torch.

A line that nothing has changed since is taken from an index beside them, which can always be made
anew: `.runs_index.jsonl`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from expkit.records.folder_size import FolderSize
from expkit.reports.runs.entries import RunEntry, kind_of, read_entry
from expkit.reports.runs.listing_index import Index
from expkit.sanitize import one_line


def list_entries(folder: Path, *, inside_sweeps: bool = False) -> list[RunEntry]:
    """Return the runs, sweeps and exported models of a folder, newest last.

    Those of a folder that is none of these itself are among them, by `FOLDER/NAME`; and those of
    each sweep beside the sweep itself, where they are asked for.
    """
    index = Index.read(folder)
    entries = []
    for path in _folders(folder, follow_links=True):
        entry = _entry(path, one_line(path.name), index)
        if entry is not None:
            entries.append(entry)
        if entry is None or (inside_sweeps and entry.kind == "sweep"):
            below = (
                _entry(each, f"{one_line(path.name)}/{one_line(each.name)}", index)
                for each in _folders(path, follow_links=False)
            )
            entries += [each for each in below if each is not None]
    index.write()
    return sorted(entries, key=_age)


def _folders(parent: Path, *, follow_links: bool) -> Iterator[Path]:
    """The folders in another one; hidden ones are being written. None where it cannot be read."""
    with contextlib.suppress(OSError), os.scandir(parent) as found:
        for each in found:
            if not each.name.startswith(".") and each.is_dir(follow_symlinks=follow_links):
                yield parent / each.name


def _entry(path: Path, name: str, index: Index) -> RunEntry | None:
    if (known := index.find(path, name)) is not None:
        return known
    kind = kind_of(path)
    if kind is None:
        return None
    size = FolderSize.of(path)  # before it is read: what changes meanwhile is seen the next time
    entry = read_entry(path, name, kind, size.num_bytes)
    index.keep(entry, size)
    return entry


def _age(entry: RunEntry) -> tuple[float, str]:
    return (entry.started.timestamp() if entry.started else 0.0, entry.name)
