"""Calls timed in turns, so that a machine that others use, too, favours none of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

ROUNDS = 10

Clock = Callable[[], float]


@dataclass(frozen=True)
class Contender:
    """A call that returns once its outputs are there, and what holds during its turns."""

    call: Callable[[], object]
    within: Callable[[], AbstractContextManager[object]] = nullcontext


def time_in_turns(
    contenders: Sequence[Contender],
    seconds: float,
    *,
    rounds: int = ROUNDS,
    clock: Clock = time.perf_counter,
) -> list[list[list[float]]]:
    """Return the seconds of every call, by contender and by round.

    Each contender has `seconds` in all, and one call a round at the least. Every second round goes
    backwards: what comes after the same neighbour every time would pay for it every time.
    """
    times: list[list[list[float]]] = [[] for _ in contenders]
    for number in range(rounds):
        order = range(len(contenders))
        for place in reversed(order) if number % 2 else order:
            with contenders[place].within():
                times[place].append(_take_turn(contenders[place].call, seconds / rounds, clock))
    return times


def _take_turn(call: Callable[[], object], seconds: float, clock: Clock) -> list[float]:
    """Time calls until the turn is over, without the first, which finds another's caches.

    A first call that is as long as the turn is the only one, and hardly feels them.
    """
    times: list[float] = []
    started = clock()
    call()
    before = clock()
    if before - started >= seconds:
        return [before - started]
    while not times or before - started < seconds:
        call()
        after = clock()
        times.append(after - before)
        before = after
    return times
