"""The memory of this machine, or less where a container or batch job is limited."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
MACHINE = Path("/proc/meminfo")
USABLE = 0.9  # of what is free: other processes go on
LEAST = 256 << 20  # that may be tried where nothing seems free
THREAD = 16 << 20  # address space of a thread's stack and more, of which it fills little


def count_memory_bytes() -> int:
    """The machine's memory, or the lowest limit of the control groups that this process is in."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_read_limits()])


def count_own_bytes() -> int:
    """Count the bytes of this process now, or its peak where the system has only that."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def count_free_bytes() -> int | None:
    """Count the bytes that this process can still take; None where the system does not tell."""
    try:
        lines = MACHINE.read_text().splitlines()
    except OSError:
        return None
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min(free[0], max(0, count_memory_bytes() - count_own_bytes())) if free else None


@contextlib.contextmanager
def memory_limited(num_threads: int = 1) -> Iterator[None]:
    """Let an allocation fail that this machine cannot meet, but for so many threads that start.

    Linux grants it, and kills the process once it writes there.
    """
    free = count_free_bytes()
    if free is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    reserved = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    wanted = reserved + max(LEAST, int(USABLE * free)) + num_threads * THREAD
    given = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *given]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _read_limits() -> Iterator[int]:
    for path in _limit_files():
        try:
            text = path.read_text().strip()
        except OSError:  # no such group, or one that is not shown here
            continue
        if text.isdigit():  # not "max"
            yield int(text)


def _limit_files() -> Iterator[Path]:
    """`memory.max` of version 2 and `memory.limit_in_bytes` of version 1, of every group above."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = CGROUPS / controllers
        file = "memory.limit_in_bytes" if controllers else "memory.max"
        folder = top / group.lstrip("/")
        for each in (folder, *folder.parents):
            yield each / file
            if each == top:
                break
