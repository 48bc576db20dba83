"""Random faults: whatever happens to one file of a run, every command answers on one screen.

    HOSTILE_MUTATIONS=500 python -m pytest -n 0 tests/hostile/test_mutations.py

makes so many of them instead of a few; HOSTILE_SEED=N begins with the N-th.
"""

from __future__ import annotations

import os

import pytest
from hostile_arena import Arena
from hostile_folders import COMMANDS, Gift
from hostile_mutations import Mutation

FIRST = int(os.environ.get("HOSTILE_SEED", "0"))
COUNT = int(os.environ.get("HOSTILE_MUTATIONS", "24"))
ASKED = ("show", "diagnose", "compare", "threshold", "plot", "report")
BUILT = ("predict", "evaluate", "resume")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_a_file_with_a_random_fault(seed: int, arena: Arena) -> None:
    """No fault of expkit's, no hang, nothing outside: of one reading and one building command."""
    arena.have()
    is_all = "HOSTILE_MUTATIONS" in os.environ
    reading, building = ASKED[seed % len(ASKED)], BUILT[seed % len(BUILT)]
    for command in (*ASKED, *BUILT) if is_all else (reading, building):
        path = arena.give("interrupted" if command == "resume" else "finished")
        words = Mutation(path, seed).make()
        if seed % 2:
            Gift(path, arena).without_summaries()
        before = len(arena.problems)
        arena.ask(*COMMANDS[command], keeps=command in ("plot", "resume"))
        arena.problems[before:] = [f"{words}: {each}" for each in arena.problems[before:]]
