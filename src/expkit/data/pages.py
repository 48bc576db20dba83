"""The memory that a mapped file's pages take once they were looked at."""

from __future__ import annotations

import mmap

import numpy as np


def release_pages(array: object) -> None:
    """Let go of them; the system keeps what it has memory for, and reads the rest again."""
    while isinstance(array, np.ndarray):  # a view of a view of the mapped file
        array = array.base
    if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.madvise(mmap.MADV_DONTNEED)
