"""Gradient checkpointing of timm's models: activations within blocks are computed again.

A block runs twice in each step, once in the backward pass, and draws the same dropout both times.
Batch norm would count the batch twice in its running statistics; here it does not, so that a run
has the numbers that it has without.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from expkit.errors import UserError


def checkpoint_blocks(net: nn.Module, name: str) -> None:
    """Let a model of timm keep what goes into each of its blocks alone, or refuse."""
    turn_on: Any = getattr(net, "set_grad_checkpointing", None)
    try:
        if turn_on is None:
            raise AssertionError("it has no such option")
        turn_on(True)
    except AssertionError as error:  # timm's way to say so
        raise UserError(
            f"timm's {name} has no gradient checkpointing: {error}",
            where="model.gradient_checkpointing=true",
            allowed="logo_vit, vit_scanline, and of timm the ResNets, EfficientNets, MobileNets, "
            "ConvNeXts, RegNets, and vision, Swin and DINOv2 transformers",
            fix="model.gradient_checkpointing=false",
        ) from error
    for layer in net.modules():
        if isinstance(layer, _BatchNorm):
            _keep_statistics_once(layer)


def _keep_statistics_once(layer: _BatchNorm) -> None:
    """Lend a forward pass that is made within a backward pass copies of the running statistics."""
    own: list[dict[str, Tensor | None]] = []

    def enter(module: Any, _inputs: Any) -> None:
        if is_recomputing():
            own.append(module._buffers)
            module._buffers = {k: v if v is None else v.clone() for k, v in own[-1].items()}

    def leave(module: Any, _inputs: Any, _outputs: Any) -> None:
        if own:
            module._buffers = own.pop()

    layer.register_forward_pre_hook(enter)
    layer.register_forward_hook(leave, always_call=True)


def is_recomputing() -> bool:
    """Tell whether autograd is in a backward pass, as torch's own checkpointing asks it."""
    return int(torch._C._current_graph_task_id()) != -1
