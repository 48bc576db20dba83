"""The memory that may be used: the machine's, or a lower limit of a control group."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest

from expkit.data.store import memory_limits
from expkit.data.store.memory_limits import (
    count_free_bytes,
    count_memory_bytes,
    count_own_bytes,
    memory_limited,
)

PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/job/step\n", {"job/step/memory.max": "max", "job/memory.max": "5000"}, 5000),
        ("0::/\n", {"memory.max": "7000"}, 7000),
        ("0::/\n", {"memory.max": "max"}, PHYSICAL),
        ("4:memory:/job\n", {"memory/job/memory.limit_in_bytes": "3000"}, 3000),
        ("4:memory:/job\n", {"memory/memory.limit_in_bytes": str(2**63)}, PHYSICAL),
        ("3:cpu:/job\n", {"cpu/job/memory.max": "1"}, PHYSICAL),
        ("0::/elsewhere\n", {}, PHYSICAL),
    ],
)
def test_lowest_limit_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    membership: str,
    files: dict[str, str],
    expected: int,
) -> None:
    """Of the process's group or one above it, in either version; else it is the machine's."""
    put(tmp_path / "cgroup", membership)
    for name, text in files.items():
        put(tmp_path / "fs" / name, text + "\n")
    monkeypatch.setattr(memory_limits, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(memory_limits, "CGROUPS", tmp_path / "fs")
    assert count_memory_bytes() == expected


def test_machine_without_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Mac: the machine's memory."""
    monkeypatch.setattr(memory_limits, "MEMBERSHIP", tmp_path / "none")
    assert count_memory_bytes() == PHYSICAL


def test_what_is_free_is_the_machines_or_the_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smaller one; a system that does not tell is asked no further."""
    own = count_own_bytes()
    monkeypatch.setattr(memory_limits, "MACHINE", tmp_path / "meminfo")
    assert count_free_bytes() is None
    put(tmp_path / "meminfo", "MemTotal: 9000000 kB\nMemAvailable: 3000 kB\n")
    monkeypatch.setattr(memory_limits, "count_memory_bytes", lambda: own + (1 << 30))
    assert count_free_bytes() == 3000 * 1024
    monkeypatch.setattr(memory_limits, "count_memory_bytes", lambda: 1)
    assert count_free_bytes() == 0


def test_more_than_is_free_fails_instead_of_being_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 MB that are free 200 can be had and 4000 cannot; afterwards all is as before."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    monkeypatch.setattr(memory_limits, "count_free_bytes", lambda: 500 << 20)
    with memory_limited():
        assert np.empty(200 << 20, np.uint8).nbytes
        with pytest.raises(MemoryError):
            np.empty(4000 << 20, np.uint8)
    assert np.empty(4000 << 20, np.uint8).nbytes
    monkeypatch.setattr(memory_limits, "count_free_bytes", lambda: None)
    with memory_limited():
        assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert resource.getrlimit(resource.RLIMIT_AS) == before
