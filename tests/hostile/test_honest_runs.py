"""Honest folders pass every command, so that a refusal elsewhere means something."""

from __future__ import annotations

import pytest
from hostile_arena import FAILED, PASSED, Arena
from hostile_folders import COMMANDS

pytestmark = pytest.mark.broad(2)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_an_honest_run_passes_every_command(command: str, arena: Arena) -> None:
    """Nothing that the suite forbids is done by the commands anyhow."""
    arena.have()
    arena.give("interrupted" if command == "resume" else "finished")
    codes = (PASSED, FAILED) if command == "threshold" else (PASSED,)
    arena.ask(*COMMANDS[command], codes=codes)


@pytest.mark.slow
def test_an_honest_sweep_passes(arena: Arena) -> None:
    arena.give("sweep")
    for words in (("show",), ("plot",), ("resume",), ("diagnose",), ("compare",)):
        arena.ask(*words, "gift", codes=(PASSED,))
