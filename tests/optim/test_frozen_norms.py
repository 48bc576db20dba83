"""Which norms stop averaging, for nets with every kind of norm that there is."""

from __future__ import annotations

from torch import nn

from expkit.optim.frozen_norms import frozen_norms


def freeze(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def test_those_whose_own_parameters_are_frozen() -> None:
    """One frozen, one not, one half."""
    model = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    freeze(model[0])
    model[2].weight.requires_grad_(False)
    assert frozen_norms(model) == [model[0]]


def test_one_without_parameters_goes_with_what_it_stands_in() -> None:
    """Even where only a norm without parameters stands between it and them."""

    def block() -> nn.Sequential:
        return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2, affine=False)))

    model = nn.Sequential(freeze(block()), block())
    assert frozen_norms(model) == [model[0][1][0]]


def test_norms_without_running_statistics_are_none_of_them() -> None:
    """They answer the same in training and in evaluation."""
    assert frozen_norms(freeze(nn.Sequential(nn.LayerNorm(2), nn.GroupNorm(1, 2)))) == []


def test_nothing_is_frozen_where_all_is_trained() -> None:
    """A run without any of this is left as it was."""
    assert frozen_norms(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False))) == []
