"""Grids that nobody could run are refused before their jobs are listed."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from expkit.config.multirun.sweep_size import MOST_JOBS, refuse_endless
from expkit.errors import UserError


def refuse(*words: str) -> None:
    refuse_endless(OverridesParser.create().parse_overrides(list(words)))


def test_a_grid_of_many_jobs_is_let_through() -> None:
    """100 x 1000 is the most."""
    refuse("seed=range(0,100)", "a=range(0,2000,2)", "b=7", "optimizer.lr=interval(0,1)")


@pytest.mark.parametrize(
    ("words", "num_jobs"),
    [
        (("seed=range(0,1000000000)",), "1,000,000,000"),
        (("a=range(0,1000)", "b=range(1000,0,-1)", "c=x,y"), "2,000,000"),
        (("a=range(0.0,100001.0)",), "100,001"),
    ],
)
def test_an_endless_grid_is_refused_with_its_number(words: tuple[str, ...], num_jobs: str) -> None:
    """Told by each word's share of it."""
    with pytest.raises(UserError, match=f"the sweep has {num_jobs} jobs") as refused:
        refuse(*words)
    assert f"{MOST_JOBS:,}" in refused.value.screen()


def test_a_range_without_a_step_is_refused() -> None:
    """It would never end."""
    with pytest.raises(UserError, match="no step"):
        refuse("seed=range(0,10,0)")
