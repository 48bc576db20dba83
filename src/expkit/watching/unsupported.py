"""Refusals of what cannot be watched, before any hook is set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from expkit.errors import UserError

WRAPPED = {
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
SHARDED = ("FullyShardedDataParallel", "FSDPModule")


def refuse_unsupported(
    model: Any, optimizers: Sequence[Any], loss: Any, scheduler: Any, scaler: Any
) -> None:
    """Refuse what is no part of a loop, and models that hooks do not see through."""
    _refuse_model(model)
    if not optimizers or not all(isinstance(e, torch.optim.Optimizer) for e in optimizers):
        found = type(optimizers[0]).__name__ if optimizers else "nothing"
        raise UserError(
            f"the optimizer is {found}, and no torch.optim.Optimizer",
            where="expkit.watch(model, optimizer, ...)",
            allowed="an optimizer, or a list of all that move the model",
        )
    own = {id(each) for each in model.parameters()}
    moved = {id(p) for each in optimizers for group in each.param_groups for p in group["params"]}
    if own and not own & moved:
        raise UserError(
            "the optimizer moves none of this model's parameters",
            where="expkit.watch(model, optimizer, ...)",
            fix="make the optimizer of this very model, after all changes to it: "
            "torch.optim.Adam(model.parameters())",
        )
    if loss is not None and not callable(loss):
        raise UserError(
            f"the loss is {type(loss).__name__}, and cannot be called",
            where="expkit.watch(..., loss=...)",
            allowed="a module such as nn.CrossEntropyLoss(), or a function",
        )
    if scheduler is not None and not hasattr(scheduler, "step"):
        raise UserError(
            f"the scheduler is {type(scheduler).__name__}, and has no step()",
            where="expkit.watch(..., scheduler=...)",
        )
    if scaler is not None and not isinstance(scaler, torch.amp.GradScaler):
        raise UserError(
            f"the scaler is {type(scaler).__name__}, and no torch.amp.GradScaler",
            where="expkit.watch(..., scaler=...)",
        )


def _refuse_model(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise UserError(
            f"the model is {type(model).__name__}, and no nn.Module",
            where="expkit.watch(model, ...)",
            fix="hand over the module whose forward pass the loop calls",
        )
    kind = type(model).__name__
    if kind in WRAPPED:
        inner = f"model.{WRAPPED[kind]}"
        hint = "before torch.compile(model)" if kind == "OptimizedModule" else "on one process"
        raise UserError(
            f"a {kind} cannot be watched: hooks do not see what happens within it",
            where="expkit.watch(model, ...)",
            allowed=f"a plain nn.Module that the loop calls itself, {hint} ({inner})",
        )
    if kind in SHARDED or isinstance(model, torch.jit.ScriptModule):
        raise UserError(
            f"a {kind} cannot be watched: its parameters or calls are not seen by hooks",
            where="expkit.watch(model, ...)",
            allowed="a plain nn.Module that the loop calls itself",
        )
    if any(isinstance(each, UninitializedParameter) for each in model.parameters()):
        raise UserError(
            "the model has lazy layers whose sizes are not known yet",
            where="expkit.watch(model, ...)",
            fix="call it once before the optimizer is made: model(inputs)",
        )
