"""Calls timed in turns, by a clock that is made by hand."""

from __future__ import annotations

from collections.abc import Callable

from expkit.training.turns import Contender, time_in_turns


class HandClock:
    """Time passes only in calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called = ""

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, seconds: Callable[[float], float]) -> Contender:
        def run() -> None:
            self.now += seconds(self.now)
            self.called += name

        return Contender(run)


def test_every_second_round_goes_backwards() -> None:
    """Calls that are longer than their turn: one a round, and none is thrown away."""
    clock = HandClock()
    contenders = [clock.call(name, lambda _: 1.0) for name in "abc"]
    times = time_in_turns(contenders, 3.0, rounds=3, clock=clock)
    assert clock.called == "abc" + "cba" + "abc"
    assert times == [[[1.0], [1.0], [1.0]]] * 3


def test_the_first_call_of_a_turn_is_left_out() -> None:
    """Turns of 1 s, calls of 0.25 s: of four in each turn three are counted."""
    clock = HandClock()
    (times,) = time_in_turns([clock.call("a", lambda _: 0.25)], 2.0, rounds=2, clock=clock)
    assert times == [[0.25] * 3] * 2
    assert clock.called == "a" * 8


def test_a_call_is_counted_also_where_the_first_leaves_no_time() -> None:
    """A first one of just less than the turn is not the figure."""
    clock = HandClock()
    slow_at_first = clock.call("a", lambda now: 0.9 if now == 0 else 0.2)
    (times,) = time_in_turns([slow_at_first], 1.0, rounds=1, clock=clock)
    assert [round(each, 6) for each in times[0]] == [0.2]


def test_a_machine_that_slows_down_favours_none() -> None:
    """Two equal calls while the machine halves its speed: one after the other would be 2 to 1."""
    clock = HandClock()
    contenders = [clock.call(name, lambda now: 0.1 if now < 10 else 0.2) for name in "ab"]
    a, b = (sum(map(sum, own)) for own in time_in_turns(contenders, 10.0, rounds=10, clock=clock))
    assert abs(a - b) < 0.5
