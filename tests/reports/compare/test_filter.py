"""Runs that `--where` keeps, by their config."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compared_rows import member

from expkit.errors import UserError
from expkit.reports.compare.filter import keep_where


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("optimizer.lr=1e-3", [0, 2]),
        ("seed=1", [2]),
        ("model=resnet18", [1]),
        ("model=ConvNet", [0, 2]),
        ("model.pretrained=true", [1]),
    ],
)
def test_where(condition: str, kept: list[int]) -> None:
    """Numbers by value, choices by the word that chose them, or by what was built."""
    runs = [
        member(0.1),
        member(0.2, words=("model=resnet18",), optimizer__lr=0.01, model__pretrained=True),
        member(0.3, seed=1),
    ]
    assert [runs.index(each) for each in keep_where(runs, [condition])] == kept


def test_a_default_choice_is_found_by_its_name() -> None:
    """It stands in no word of the command line, and what is built has another name."""
    run = member()
    default = replace(run, choices={"model": "simple_conv"})
    assert keep_where([run, default], ["model=simple_conv"]) == [default]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("optimiser.lr=1", "optimizer.lr"),
        ("optimizer.lr=2", "optimizer.lr is 0.001"),
        ("lr", "KEY=VALUE"),
    ],
)
def test_where_nothing_is(condition: str, said: str) -> None:
    """The nearest key, the values that there are, or what a condition looks like."""
    with pytest.raises(UserError) as caught:
        keep_where([member()], [condition])
    assert said in caught.value.screen()
