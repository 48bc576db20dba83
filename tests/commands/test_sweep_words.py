"""Which words of a recorded sweep are taken for the user's own when it is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from expkit.commands.sweep_resume import _harmless
from expkit.errors import UserError
from expkit.records.sweep import Sweep

SWEEP = Sweep(Path("outputs/a_sweep"))


@pytest.mark.parametrize(
    "word", ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=20", "hydra.sweeper.sampler.seed=-1e3"]
)
def test_a_search_and_its_numbers_build_nothing(word: str) -> None:
    """They need no word of trust."""
    assert list(_harmless([word], SWEEP, [])) == [word]


@pytest.mark.parametrize(
    "word",
    [
        "hydra.sweeper.pruner._target_=os.system",
        "hydra.sweeper.n_trials={_target_: os.system}",
        "hydra.sweeper.storage=1e5.db",
    ],
)
def test_what_could_name_code_needs_the_users_word(word: str) -> None:
    """Whoever began the sweep may be a stranger."""
    with pytest.raises(UserError, match="could run code"):
        list(_harmless([word], SWEEP, []))
    assert list(_harmless([word], SWEEP, ["hydra"])) == [word]
