"""Digests of checkpoints: what a disk gives back is held against what was written."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

from expkit.errors import UserError
from expkit.records.files import append_line

FILE = "digests.jsonl"  # beside the checkpoints of a stage


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def note_digest(path: Path, written: Path) -> None:
    """Record the digest of what is about to become the checkpoint `path`.

    It comes before the renaming: a kill between the two leaves the old file, whose digest stands
    there, too.
    """
    append_line(path.parent / FILE, json.dumps({"file": path.name, "sha256": digest_of(written)}))


def is_intact(path: Path) -> bool:
    """Tell whether a checkpoint is one that was written there, or none has a digest there."""
    digests = path.parent / FILE
    if not digests.is_file() or digests.is_symlink():
        return True  # from before there were digests
    content = digests.read_bytes()
    return f'"{path.name}"'.encode() not in content or digest_of(path).encode() in content


def refuse_damaged(path: Path, *, to_go_on: bool) -> None:
    """Refuse a checkpoint that is not what was written; `to_go_on` with training from it."""
    if path.exists() and not is_intact(path):
        raise UserError(
            f"the checkpoint '{path.name}' is not what was written: its digest differs, as after "
            "a flipped bit or a torn copy",
            where=str(path),
            fix=way_out(path, to_go_on=to_go_on),
        )


def way_out(path: Path, *, to_go_on: bool) -> str:
    """Advise on what can be done without this checkpoint."""
    copy = "bring it back from a copy"
    if to_go_on:
        return (
            f"{copy}, or let its stage begin anew, to the same numbers:\n"
            f"remove {path.name}, then: expkit resume {shlex.quote(str(path.parents[2]))}"
        )
    names = {"best.safetensors": "last", "last.safetensors": "best"}
    other = path.with_name(f"{names.get(path.name)}.safetensors")
    if not other.exists() or not is_intact(other):
        return copy
    return (
        f"{copy}, or take the weights of the {names[path.name]} epoch for it; in that folder:\n"
        f"cp {other.name} {path.name}"
    )
