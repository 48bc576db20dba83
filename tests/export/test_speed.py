"""The latency of calls that are made in turns."""

from __future__ import annotations

import pytest

from expkit.export.speed import time_calls


def test_each_call_has_its_own_median_and_tails() -> None:
    """By a clock that goes on by what each call takes: 1 ms, and 5 ms with one of ten 9."""
    now = [0.0]
    counts = {"fast": 0, "slow": 0}

    def call(name: str) -> None:
        counts[name] += 1
        slow = 0.009 if counts[name] % 10 == 0 else 0.005
        now[0] += 0.001 if name == "fast" else slow

    calls = {name: lambda name=name: call(name) for name in counts}  # type: ignore[misc]
    found = time_calls(calls, 4.0, clock=lambda: now[0])
    assert found["fast"].median_ms == pytest.approx(1)
    assert found["slow"].median_ms == pytest.approx(5)
    assert found["slow"].p99_ms == pytest.approx(9)
    # of each 2 seconds, less the first call in each of ten turns
    assert found["fast"].num_runs == pytest.approx(2000 - 10, abs=10)
