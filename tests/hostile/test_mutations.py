"""Random faults: whatever happens to one file of a run, every command answers on one screen.

    HOSTILE_MUTATIONS=500 python -m pytest -n 0 tests/hostile/test_mutations.py

makes so many of them instead of a few; HOSTILE_SEED=N begins with the N-th.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hostile_arena import REFUSED, Arena
from hostile_folders import AS_JSON, COMMANDS, Gift, lay
from hostile_mutations import Mutation

pytestmark = pytest.mark.broad(2)

FIRST = int(os.environ.get("HOSTILE_SEED", "0"))
COUNT = int(os.environ.get("HOSTILE_MUTATIONS", "24"))
ASKED = ("show", "diagnose", "compare", "threshold", "plot", "report", *AS_JSON)
BUILT = ("predict", "evaluate", "resume")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_a_file_with_a_random_fault(seed: int, arena: Arena) -> None:
    """No fault of expkit's, no hang, nothing outside: of one reading and one building command."""
    arena.have()
    draw = random.Random(seed)
    for command in (draw.choice(ASKED), draw.choice(BUILT)):
        path = arena.give("interrupted" if command == "resume" else "finished")
        words = Mutation(path, seed).make()
        if draw.random() < 0.5:
            Gift(path, arena).without_summaries()
        before = len(arena.problems)
        arena.ask(*COMMANDS[command], keeps=command in ("plot", "resume"))
        arena.problems[before:] = [f"{words}: {each}" for each in arena.problems[before:]]


def put_target(gift: Gift) -> None:
    gift.config(lambda config: config["dataset"].update(_target_=float("nan")))


def put_folder(gift: Gift) -> None:
    lay("samples/wrong_test.npz", "a folder")(gift)


def put_signal(gift: Gift) -> None:
    gift.lines("signals.jsonl", lambda record: record.update(kind=[1]))
    with (gift.path / "signals.jsonl").open("a") as file:
        file.write('{"stage": "train", "epoch": 1, "kind": "x"}\n')


def put_override(gift: Gift) -> None:
    (gift.path / "overrides.yaml").write_text("[0.5]\n")


def put_command(gift: Gift) -> None:
    gift.json("environment.json", lambda record: record.update(command=[0.5]))


# what such faults have found, and the command that fell over it or left something half-made
FOUND: dict[Callable[[Gift], None], str] = {
    put_target: "evaluate",  # of a dataset whose class is no text
    put_override: "evaluate",  # whose findings say how to train again
    put_folder: "report",  # a new page's folder stayed, empty
    put_command: "threshold",  # as its page says by which command the run was made
    put_signal: "threshold",  # was kept, though its page could not be written
}


@pytest.mark.parametrize("spoil", FOUND, ids=lambda spoil: spoil.__name__)
def test_what_a_fault_has_found(spoil: Callable[[Gift], None], arena: Arena) -> None:
    """One screen, and nothing made."""
    arena.have()
    spoil(Gift(arena.give(), arena))
    arena.ask(*COMMANDS[FOUND[spoil]], codes=(REFUSED,))
