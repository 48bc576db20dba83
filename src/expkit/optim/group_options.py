"""The options of a parameter group: torch itself checks none of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from expkit.errors import UserError, nearest_of


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_positive(value: Any) -> bool:
    return is_number(value) and value > 0


def is_decay(value: Any) -> bool:
    return is_number(value) and value >= 0


def is_fraction(value: Any) -> bool:
    return is_number(value) and 0 <= value < 1


def are_fractions(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(is_fraction, value))


OPTIONS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "lr": ("a number > 0", is_positive),
    "lr_scale": ("a number > 0, of the optimizer's lr", is_positive),
    "weight_decay": ("a number >= 0", is_decay),
    "momentum": ("a number from 0 to below 1", is_fraction),
    "betas": ("a list of numbers from 0 to below 1", are_fractions),
    "eps": ("a number > 0", is_positive),
}


def read_options(given: Mapping[str, Any], lr: float, where: str) -> dict[str, Any]:
    """A group's options as an optimizer takes them, its learning rate among them."""
    for name, value in given.items():
        if name not in OPTIONS:
            raise UserError(
                f"a group of parameters has no option '{name}'",
                where=f"{where}.{name}={value}",
                nearest=nearest_of(name, OPTIONS),
                allowed=", ".join(OPTIONS),
            )
        allowed, is_allowed = OPTIONS[name]
        if not is_allowed(value):
            raise UserError(
                f"{name} cannot be {value}", where=f"{where}.{name}={value}", allowed=allowed
            )
    if "lr" in given and "lr_scale" in given:
        raise UserError(
            "lr and lr_scale both say the learning rate of a group",
            where=f"{where}: lr={given['lr']}, lr_scale={given['lr_scale']}",
            fix="leave one of them out",
        )
    scaled = {"lr": lr * given.get("lr_scale", 1.0)}
    return scaled | {name: value for name, value in given.items() if name != "lr_scale"}


def refuse_ignored_options(
    optimizer: Optimizer, groups: Mapping[str, Mapping[str, float | Sequence[float]]], key: str
) -> None:
    """Refuse what the optimizer does not know: it would keep it in the group and never look."""
    known = [name for name in OPTIONS if name in (*optimizer.defaults, "lr_scale")]
    for glob, given in groups.items():
        for name in given:
            if name not in known:
                raise UserError(
                    f"{type(optimizer).__name__} has no {name}",
                    where=f"{key}.groups.{glob}.{name}={given[name]}",
                    allowed=", ".join(known),
                )
