"""Starting from weights that were trained elsewhere: the backbone's, and a head's that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.optim.parameter_names import modules_of_head, state_of_head
from expkit.training.checkpoint import read_weights

LISTED = 3  # tensors that differ


@dataclass(frozen=True)
class Taken:
    """The tensors that a model took from a checkpoint."""

    epoch: int
    num_backbone: int
    num_head: int  # 0 where it was drawn anew
    num_redrawn: int

    def __str__(self) -> str:
        head = "and those of the head" if self.num_head else "the head drawn anew"
        tensors = "1 tensor" if self.num_backbone == 1 else f"{self.num_backbone} tensors"
        return f"{tensors} of the backbone taken, {head}"


def load_backbone(path: Path, model: nn.Module, key: str, *, with_head: bool = False) -> Taken:
    """Put a checkpoint's backbone into the model; its head, too, where that is asked for and fits.

    `key` is where the config asks for it.
    """
    weights, metadata = read_weights(path)
    here, head = model.state_dict(), state_of_head(model, key)
    heads = tuple(f"{module}." for module in modules_of_head(model, key))
    _refuse_other(
        {name: tensor for name, tensor in weights.items() if not name.startswith(heads)},
        {name: tensor for name, tensor in here.items() if name not in head},
        path,
        key,
    )
    takes_head = with_head and all(
        name in weights and weights[name].shape == here[name].shape for name in head
    )
    names = [name for name in here if takes_head or name not in head]
    with torch.no_grad():
        for name in names:
            here[name].copy_(weights[name])
    return Taken(
        epoch=int(metadata["epoch"]),
        num_backbone=len(here) - len(head),
        num_head=len(head) if takes_head else 0,
        num_redrawn=0 if takes_head else len(head),
    )


def _refuse_other(
    given: Mapping[str, Tensor], here: Mapping[str, Tensor], path: Path, key: str
) -> None:
    """Refuse a backbone of other tensors, by the first of them."""
    differing = [
        f"{name}: {_shape(given.get(name))} there, {_shape(here.get(name))} here"
        for name in dict.fromkeys([*here, *given])
        if _kind(given.get(name)) != _kind(here.get(name))
    ]
    if differing:
        more = f"\n... and {len(differing) - LISTED} more" if len(differing) > LISTED else ""
        raise UserError(
            f"the backbone of '{path.parent.name}/{path.name}' does not fit this model: "
            f"{len(differing)} of its tensors differ",
            where=f"{key}\n{path}\n" + "\n".join(differing[:LISTED]) + more,
            allowed="weights of a model that is the same but for its head",
            fix=f"the model of that run (its config.yaml says which), or {key}=null",
        )


def _kind(tensor: Tensor | None) -> tuple[object, ...] | None:
    return None if tensor is None else (tensor.shape, tensor.is_floating_point())


def _shape(tensor: Tensor | None) -> str:
    if tensor is None:
        return "none"
    return f"{' x '.join(map(str, tensor.shape)) or 'a number'}"
