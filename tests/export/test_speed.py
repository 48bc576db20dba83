"""Times of calls that are made in turns."""

from __future__ import annotations

import time

import pytest

from expkit.export import speed
from expkit.export.speed import time_in_turns


def test_calls_are_made_in_turns_and_each_has_its_own_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock that goes on by what each call takes: 1 ms, and 5 ms with two of 9."""
    clock = [0.0]
    monkeypatch.setattr(speed, "MIN_RUNS", 20)
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    order: list[str] = []

    def call(name: str) -> None:
        order.append(name)
        slow = 0.009 if order.count(name) % 10 == 0 else 0.005
        clock[0] += 0.001 if name == "fast" else slow

    found = time_in_turns({"fast": lambda: call("fast"), "slow": lambda: call("slow")}, 0)
    measured = order[2 * speed.WARM_UP_RUNS :]
    assert measured == ["fast", "slow"] * 20
    assert found["fast"].median_ms == pytest.approx(1)
    assert found["slow"].median_ms == pytest.approx(5)
    assert found["slow"].p99_ms == pytest.approx(9)
    assert found["slow"].num_runs == 20
