"""What a search reads from the words of its command line."""

from __future__ import annotations

from typing import Literal

import pytest

from expkit.errors import UserError

optuna = pytest.importorskip("optuna", reason='pip install "expkit[optuna]"')

WORDS = {
    "optimizer.lr=tag(log,interval(1e-4,1e-1))": ("FloatDistribution", 1e-4, 1e-1, None, True),
    "model.dropout=interval(0,0.5)": ("FloatDistribution", 0.0, 0.5, None, False),
    "model.depth=interval(1,10)": ("FloatDistribution", 1.0, 10.0, None, False),
    "model.depth=int(interval(1.5,8))": ("IntDistribution", 1, 8, 1, False),
    "model.depth=range(1,9,2)": ("IntDistribution", 1, 9, 2, False),
    "model.dropout=range(0,0.5,0.1)": ("FloatDistribution", 0.0, 0.5, 0.1, False),
}


@pytest.mark.parametrize(("word", "expected"), WORDS.items())
def test_ranges_and_intervals(word: str, expected: tuple[object, ...]) -> None:
    """An interval is of whole numbers if cast; a range has its steps and both ends."""
    from hydra_plugins.expkit._search_space import read_space

    space, fixed = read_space([word, "seed=3"])
    (found,) = space.values()
    low, high, step, is_log = found.low, found.high, found.step, found.log
    assert (type(found).__name__, low, high, step, is_log) == expected
    assert fixed == {"seed": "3"}


def test_choices_are_the_words_that_a_launcher_takes() -> None:
    """Also lists and mappings; a key that is given again as one value is fixed."""
    from hydra_plugins.expkit._search_space import read_space

    words = ["model=simple_conv,deep_head", "a=null,[1,2],{b:1}", "c=1,2", "c=2", "d=true,false"]
    space, fixed = read_space(words)
    assert {name: each.choices for name, each in space.items()} == {
        "model": ("simple_conv", "deep_head"),
        "a": ("null", "[1,2]", "{b:1}"),
        "d": ("True", "False"),
    }
    assert fixed == {"c": "2"}


def test_a_grid_has_all_values_and_wants_an_end_of_them() -> None:
    """A range with both ends; between two real numbers there is no end of values."""
    from hydra_plugins.expkit._search_space import grid_values, read_space

    space, _ = read_space(["a=range(0,0.5,0.1)", "b=range(1,9,2)", "c=x,y", "d=interval(0,0.5)"])
    assert grid_values("a", space["a"]) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert grid_values("b", space["b"]) == [1, 3, 5, 7, 9]
    assert grid_values("c", space["c"]) == ["x", "y"]
    with pytest.raises(UserError, match="d has no end of values"):
        grid_values("d", space["d"])


def test_a_logarithm_of_nothing_is_refused() -> None:
    """With the word, and what is allowed there."""
    from hydra_plugins.expkit._search_space import read_space

    with pytest.raises(UserError) as refused:
        read_space(["optimizer.lr=tag(log,interval(0,1e-1))"])
    assert refused.value.details["where"] == "optimizer.lr=tag(log,interval(0,1e-1))"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("sampler", "logging.FileHandler"),
        ("sampler", "optuna.pruners.MedianPruner"),
        ("pruner", "optuna.pruners._median.math.floor"),
        ("pruner", "optuna.storages.RDBStorage"),
    ],
)
def test_samplers_and_pruners_are_optunas(kind: Literal["sampler", "pruner"], target: str) -> None:
    """Whatever else a config names there is not built."""
    from hydra_plugins.expkit._search import build_optunas

    with pytest.raises(UserError, match=f"is no {kind} of Optuna"):
        build_optunas(kind, {"_target_": target, "filename": "made"})
    assert build_optunas("sampler", {"_target_": "optuna.samplers.RandomSampler", "seed": 1})
    with pytest.raises(UserError, match="cannot be built"):
        build_optunas("sampler", {"_target_": "optuna.samplers.RandomSampler", "sead": 1})
