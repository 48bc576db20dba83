"""Progressive unfreezing: which parameters learn from which epoch on, and how they warm up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from expkit.errors import UserError
from expkit.optim.parameter_names import names_that_match

THAWS_AT = "thaws_at"  # in a parameter group: the epoch, from 1, in which it begins to learn
Unfreeze = Mapping[Any, str | Sequence[str]]


def thaw_epochs(
    model: nn.Module,
    unfreeze: Unfreeze,
    trainable: str | Sequence[str],
    *,
    max_epochs: int,
    key: str,
) -> dict[str, int]:
    """The epoch in which each parameter begins to learn; one that is not there never does.

    `trainable` begins in the first, unless it is the `all` of stages that say nothing.
    """
    epochs: dict[str, int] = {}
    if trainable != "all":
        for glob in [trainable] if isinstance(trainable, str) else trainable:
            epochs |= dict.fromkeys(names_that_match(model, glob, f"{key}.trainable"), 1)
    by_epoch = {_read_epoch(given, max_epochs, key): globs for given, globs in unfreeze.items()}
    for epoch, globs in sorted(by_epoch.items()):
        where = f"{key}.unfreeze.{epoch}"
        new: set[str] = set()
        for glob in [globs] if isinstance(globs, str) else globs:
            new |= names_that_match(model, "*" if glob == "all" else glob, where)
        new -= epochs.keys()
        if not new:
            raise UserError(
                f"nothing would thaw in epoch {epoch}: what it names learns already",
                where=f"{where}: {globs}",
                fix="leave that epoch out, or name other layers",
            )
        epochs |= dict.fromkeys(new, epoch)
    if 1 not in epochs.values():
        raise UserError(
            "nothing would learn in the first epoch",
            where=f"{key}.unfreeze: {', '.join(map(str, by_epoch))}",
            fix=f"{key}.trainable=head, or an epoch 1 in it: {{1: [head], ...}}",
        )
    return epochs


def _read_epoch(given: object, max_epochs: int, key: str) -> int:
    """An epoch as a mapping's key; JSON has made text of it."""
    text = str(given)
    epoch = int(text) if text.isdecimal() else 0
    if not 1 <= epoch <= max_epochs:
        raise UserError(
            f"there is no epoch {given} in which something could thaw",
            where=f"{key}.unfreeze.{given}, {key}.max_epochs={max_epochs}",
            allowed=f"whole numbers from 1 to {max_epochs}",
        )
    return epoch


def split_by_thaw(
    model: nn.Module, groups: Sequence[dict[str, Any]], epochs: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The groups, each divided by when its parameters thaw; the earliest come first."""
    epoch_of = {id(model.get_parameter(name)): epoch for name, epoch in epochs.items()}
    divided = []
    for epoch in sorted(set(epochs.values())):
        for group in groups:
            mine = [each for each in group["params"] if epoch_of[id(each)] == epoch]
            if mine:
                divided.append({**group, "params": mine, THAWS_AT: epoch})
    return divided


def thaw(groups: Sequence[Mapping[str, Any]], epoch: int) -> None:
    """Let those parameters learn whose epoch has come; the optimizer passes over the others."""
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(group[THAWS_AT] <= epoch)


def thaw_scale(group: Mapping[str, Any], epochs: float, warmup_epochs: float) -> float:
    """The part of its learning rate that a group has after so many epochs, fractions included.

    0 while it is frozen, then rising linearly; what learns from the start has the schedule's
    warm-up alone.
    """
    thaws_at = group.get(THAWS_AT, 1)
    if thaws_at == 1:
        return 1.0
    since = epochs - (thaws_at - 1)
    if since < 0:
        return 0.0
    return min(1.0, since / warmup_epochs) if warmup_epochs > 0 else 1.0
