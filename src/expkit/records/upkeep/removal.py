"""Removing runs and sweeps: at once gone from where they lay, then file by file."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

ASIDE = ".removed_"  # how a folder is called that is being removed


def remove_folder(path: Path) -> None:
    """Remove a folder; whoever looks meanwhile sees it whole or not at all. No link is followed."""
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=path.parent))
    try:
        path.rename(aside / path.name)
    except BaseException:
        aside.rmdir()
        raise
    shutil.rmtree(aside)


def clear_half_removed(parent: Path) -> None:
    """Remove what a killed removal left."""
    for path in parent.glob(f"{ASIDE}*"):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                shutil.rmtree(path)
