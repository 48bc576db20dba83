"""What a group of parameters may be given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from expkit.errors import UserError
from expkit.optim.group_options import read_options, refuse_ignored_options

WEIGHTS = [torch.zeros(2, requires_grad=True)]


def test_a_rate_is_the_optimizers_or_scaled_or_its_own() -> None:
    """And `lr_scale` itself never reaches the optimizer."""
    assert read_options({}, 0.1, "g") == {"lr": 0.1}
    assert read_options({"lr_scale": 0.5}, 0.1, "g") == {"lr": 0.05}
    assert read_options({"lr": 3, "eps": 1e-6}, 0.1, "g") == {"lr": 3, "eps": 1e-6}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1.0),
        ("lr", 0),
        ("lr", float("nan")),
        ("lr_scale", True),
        ("weight_decay", -0.1),
        ("momentum", 1.0),
        ("betas", 0.9),
        ("betas", [0.9, 2.0]),
        ("eps", "1e-8"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    """torch takes every one of them from a group, and says nothing."""
    with pytest.raises(UserError, match=f"{name} cannot be") as caught:
        read_options({name: value}, 0.1, "procedure.train.groups.*")
    assert str(caught.value.details["where"]).startswith(f"procedure.train.groups.*.{name}=")


def test_a_misspelt_option_is_told_with_its_neighbour() -> None:
    """And with all that there are."""
    with pytest.raises(UserError, match="no option 'weight_dacay'") as caught:
        read_options({"weight_dacay": 0.1}, 0.1, "g")
    assert caught.value.details["nearest"] == "weight_decay"
    assert "lr_scale" in str(caught.value.details["allowed"])


def test_an_option_that_the_optimizer_would_ignore_is_refused() -> None:
    """Adam keeps a group's momentum and never looks at it; SGD uses it."""
    groups = {"*": {"momentum": 0.5, "lr_scale": 0.1, "weight_decay": 0.0}}
    refuse_ignored_options(torch.optim.SGD(WEIGHTS, lr=0.1), groups, "procedure.train")
    with pytest.raises(UserError, match="Adam has no momentum") as caught:
        refuse_ignored_options(torch.optim.Adam(WEIGHTS), groups, "procedure.train")
    assert caught.value.details["allowed"] == "lr, lr_scale, weight_decay, betas, eps"
