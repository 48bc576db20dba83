"""Sharpness-aware minimization (Foret et al. 2021), around any optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt

from expkit.errors import UserError

if TYPE_CHECKING:
    from torch.optim import Optimizer

RADIUS = "sam_rho"  # in a parameter group: its steps take two passes, which the learner does


def sam(
    params: Any,
    *,
    base: Callable[..., Optimizer],
    lr: Annotated[float, Gt(0)] = 0.001,
    rho: Annotated[float, Gt(0)] = 0.05,
) -> Optimizer:
    """The base optimizer, told to step along the gradient at the worst weights within `rho`.

    It is the base itself, so its state, its checkpoints and its options are those of any run.
    """
    if "lr" in getattr(base, "keywords", {}):
        raise UserError(
            "the learning rate is the one of sam, which its base takes over",
            where="optimizer.base.lr",
            fix="optimizer.lr=VALUE, and none in its base",
        )
    optimizer = base(params, lr=lr)
    for group in optimizer.param_groups:
        group[RADIUS] = rho
    return optimizer


def is_sharpness_aware(optimizer: Optimizer) -> bool:
    """Tell whether its steps take two passes."""
    return any(RADIUS in group for group in optimizer.param_groups)


def refuse_unfit(optimizer: Optimizer, precision: str, key: str) -> None:
    """Refuse what two passes a step do not go together with."""
    if not is_sharpness_aware(optimizer):
        return
    kind = type(optimizer)
    closure = inspect.signature(kind.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise UserError(
            f"{kind.__name__} evaluates the loss itself, several times a step: sam gives its base "
            "one gradient",
            where=f"{key}.base._target_={kind.__module__}.{kind.__qualname__}",
            allowed="an optimizer that steps along the gradient it is given: adam, adamw, sgd ...",
            fix=f"expkit train ... {key}.base=sgd",
        )
    if precision == "fp16":
        raise UserError(
            "sam needs gradients of their true size to find the worst weights nearby, and fp16 "
            "scales them and skips steps where they overflow",
            where=f"device.precision=fp16, {key}: sam",
            allowed="device.precision=bf16, device.precision=fp32",
            fix="expkit train ... device.precision=bf16",
        )
