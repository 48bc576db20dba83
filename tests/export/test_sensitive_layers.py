"""The layers that are left in float: the fewest of the most sensitive."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from expkit.errors import UserError
from expkit.export.sensitive_layers import Cost, choose_kept, match_layers

LAYERS = ("stem", "block.0", "block.1", "block.2", "neck", "head")
COSTS = {"stem": 4.0, "head": 8.0, "block.1": 2.0}  # divergence of each alone; else 0.5


class Model:
    """Loses a percent of agreement for each unit of divergence; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, kept: Collection[str]) -> Cost:
        self.asked.append(tuple(kept))
        divergence = sum(COSTS.get(layer, 0.5) for layer in LAYERS if layer not in kept)
        return Cost(1 - divergence / 100, divergence)


def test_nothing_stays_in_float_where_8_bits_agree_enough() -> None:
    """All quantized: 15.5 % are lost, of which 16 % are allowed."""
    model = Model()
    choice = choose_kept(LAYERS, model, 0.84, lambda _: None)
    assert choice.kept == ()
    assert model.asked == [()]  # and nothing else was measured


@pytest.mark.parametrize(
    ("required", "kept"),
    [
        (0.92, ("head",)),  # 15.5 - 8 = 7.5 % lost
        (0.93, ("head", "stem")),  # 7.5 - 4 = 3.5 % lost
        (0.97, ("head", "stem", "block.1")),  # 3.5 - 2 = 1.5 % lost
    ],
)
def test_the_fewest_of_the_most_sensitive_layers_stay_in_float(
    required: float, kept: tuple[str, ...]
) -> None:
    assert choose_kept(LAYERS, Model(), required, lambda _: None).kept == kept


def test_half_of_the_layers_in_float_is_the_most() -> None:
    """Beyond that little is gained: the best that was found is kept, and it is said."""
    said: list[str] = []
    choice = choose_kept(LAYERS, Model(), 1.0, said.append)
    assert choice.kept == ("head", "stem", "block.1")
    assert "do not reach" in said[-1]


def test_the_search_ends_in_time() -> None:
    """With no time one layer alone is measured, and then the choice is among what is known."""
    model, said = Model(), list[str]()
    choice = choose_kept(LAYERS, model, 1.0, said.append, seconds=0.0)
    assert choice.kept == ("stem",)
    assert len(model.asked) == 3  # all, the stem alone, all but the stem
    assert any("1 of 6 layers" in line for line in said)


def test_globs_name_layers_and_one_that_matches_none_is_refused_with_the_list() -> None:
    assert match_layers(["block.*", "head"], LAYERS) == ["block.0", "block.1", "block.2", "head"]
    with pytest.raises(UserError) as caught:
        match_layers(["head", "layer1.*"], LAYERS)
    assert "layer1.*" in caught.value.screen()
    assert "block.2" in caught.value.screen()
