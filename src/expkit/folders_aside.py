"""Folders that are made aside: a lock tells those of the living from what the killed left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from pathlib import Path


def begin_folder(parent: Path, beginning: str) -> tuple[Path, int]:
    """Make a folder of a new name that begins so, and a lock on it that falls with this process."""
    while True:
        aside = parent / f"{beginning}{uuid.uuid4().hex}"
        aside.mkdir()  # with the user's own mask: others may share the parent
        with contextlib.suppress(FileNotFoundError):  # cleared before it could be locked
            lock = os.open(aside, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):  # a file system without locks: nobody clears there
                fcntl.flock(lock, fcntl.LOCK_EX)
            if aside.exists():
                return aside, lock
            os.close(lock)


def clear_leftovers(parent: Path, beginning: str) -> None:
    """Remove folders that were being made when their process was killed: nobody holds them."""
    for aside in parent.glob(f"{beginning}*"):
        with contextlib.suppress(OSError):  # somebody else was quicker, or may not be disturbed
            lock = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(aside, ignore_errors=True)
            finally:
                os.close(lock)
