"""The one way to open files of a run or sweep folder, which may be a stranger's.

A file is regular, its own, and of a sensible size: no link that leads elsewhere, no pipe or
device that would hang, nothing that would fill the memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from expkit.errors import UserError

MEGA = 1_000_000
LIMITS = {  # bytes, by name or ending
    "dataset.json": 256 * MEGA,
    "labels.json": 256 * MEGA,
    "summary.json": 256 * MEGA,
    ".json": 16 * MEGA,
    ".yaml": 1 * MEGA,
    ".jsonl": 1_000 * MEGA,
    ".csv": 16_000 * MEGA,
    ".npz": 1_000 * MEGA,
}
OTHER_LIMIT = 256 * MEGA
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def open_to_read(path: Path, root: Path | None = None) -> BinaryIO:
    """Open a file of the folder `root`, which is where it lies unless it lies deeper."""
    descriptor = open_regular(path, os.O_RDONLY, root)
    size, limit = os.fstat(descriptor).st_size, limit_of(path)
    if size > limit:
        os.close(descriptor)
        raise too_large(path, size, limit)
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, root: Path | None = None) -> bytes:
    """Read a whole file of the folder `root`."""
    with open_to_read(path, root) as stream:
        return stream.read()


def open_regular(path: Path, flags: int, root: Path | None = None) -> int:
    """Return a descriptor of a regular file; made where the flags say so and it is not there."""
    if root is not None:
        refuse_links(path.parent, root)
    try:
        descriptor = os.open(
            path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, 0o644
        )
    except OSError as error:
        # a link; a folder to be written; a pipe that nobody reads or a socket
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO):
            raise not_a_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise not_a_file(path)
    return descriptor


def is_file(path: Path, root: Path | None = None) -> bool:
    """Tell whether a regular file of the folder is there; anything else of its name is refused."""
    refuse_links(path.parent, root)
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(mode):
        raise not_a_file(path)
    return True


def refuse_links(path: Path, root: Path | None) -> None:
    """Refuse a path below the folder `root` that leads through a link; the root may be one."""
    if root is None or path == root:
        return
    for each in (path, *path.parents):
        if each == root:
            return
        if each.is_symlink():
            raise not_a_file(each)
    raise ValueError(f"{path} is not inside {root}")


def make_inside(path: Path, root: Path) -> None:
    """Make a folder inside another one, through no link."""
    refuse_links(path, root)
    path.mkdir(parents=True, exist_ok=True)


def list_inside(path: Path, pattern: str, root: Path) -> Iterator[Path]:
    """The files of a folder inside another one, by their names; none where it is not there."""
    refuse_links(path, root)
    for each in sorted(path.glob(pattern)):
        if is_file(each, root):
            yield each


def limit_of(path: Path) -> int:
    """The most bytes that are read of a file of this name."""
    return LIMITS.get(path.name) or LIMITS.get(path.suffix) or OTHER_LIMIT


def not_a_file(path: Path) -> UserError:
    """The answer to a link, a pipe or a device where a run has a file or a folder of its own."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        mode = 0
    kind = next((name for is_kind, name in KINDS if is_kind(mode)), "no plain file")
    return UserError(
        f"'{path.name}' is {kind}: what a run or a sweep records are files of its own folder",
        where=str(path),
        fix="put a copy of the file in its place, or open this folder no further",
    )


def too_large(path: Path, size: int, limit: int) -> UserError:
    """The answer to a file that would fill the memory."""
    return UserError(
        f"'{path.name}' is too large to be read: {size / MEGA:,.0f} MB",
        where=str(path),
        allowed=f"at most {limit / MEGA:,.0f} MB",
        fix="bring the file back from a copy",
    )
