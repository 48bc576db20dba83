"""The folder of an exported model: made aside, and put in its place when it is whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from expkit.errors import UserError
from expkit.folders_aside import begin_folder, clear_leftovers
from expkit.records.run.writer import explain_disk_errors

MAKING = ".exporting_"  # begins the name of the folder around one that is being made


@contextlib.contextmanager
def made_aside(target: Path) -> Iterator[Path]:
    """Lend an empty folder that takes the target's name at the end, or disappears."""
    refuse_existing(target)
    with explain_disk_errors(target.parent, "--to "):
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(target.parent, MAKING)
        aside, lock = begin_folder(target.parent, MAKING)
        try:
            made = aside / target.name  # whose pages are titled by it
            made.mkdir()
            yield made
            refuse_existing(target)
            made.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            os.close(lock)


@contextlib.contextmanager
def spare_folder(made: Path) -> Iterator[Path]:
    """Lend a folder for large files beside one that is made aside: a kill leaves both in one."""
    with tempfile.TemporaryDirectory(prefix=".spare_", dir=made.parent) as spare:
        yield Path(spare)


def refuse_existing(target: Path) -> None:
    """Refuse a folder with something in it, or where the user is: nothing of theirs is replaced."""
    if not os.path.lexists(target):
        return
    if target.resolve() == Path.cwd() or not (target.is_dir() and not any(target.iterdir())):
        another = f"{target}_2" if target.name.strip(".") else target / "exported"
        raise UserError(
            f"'{target}' is there already",
            where=f"--to {target}",
            fix=f"--to {another}   (a folder that is not there yet)",
        )
