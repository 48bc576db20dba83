"""The count of processes that the kernel has killed for want of memory."""

from __future__ import annotations

from pathlib import Path


def count_memory_kills() -> int:
    """Count the processes that the kernel killed for memory; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
