"""Somebody's model with what it learns by, as probes and step statistics look at one."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.dropout import _DropoutNd

from expkit.training.device import Device, Precision

BEYOND = 1.0001  # times the bound of torch's own draw: rounding


@dataclass(frozen=True)
class Optimizers:
    """The optimizers of a loop; the first is the one whose steps are counted."""

    each: Sequence[torch.optim.Optimizer]

    @property
    def first(self) -> torch.optim.Optimizer:
        return self.each[0]

    @property
    def param_groups(self) -> list[Mapping[str, Any]]:
        return [group for optimizer in self.each for group in optimizer.param_groups]


@dataclass
class WatchedLearner:
    """The parts of a loop; looking through them changes none."""

    model: nn.Module
    optimizer: Optimizers
    loss: nn.Module | Any
    device: Device
    frozen: Sequence[nn.Module] = ()  # in eval mode on purpose while the model trains
    modes: Sequence[tuple[nn.Module, bool]] = ()  # as the loop had them in its first step
    max_gradient_norm: float | None = None
    # at the hooks of optimizers gradients are unscaled already
    scaler: torch.amp.GradScaler = field(
        default_factory=lambda: torch.amp.GradScaler("cpu", enabled=False)
    )

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def train_mode(self) -> None:
        """Put modules into the modes in which the loop trained them."""
        self.model.train()
        for module, mode in self.modes:
            module.training = mode

    def remember_modes(self) -> None:
        """Take over the modes of a training step; what sleeps on purpose is frozen."""
        if not self.model.training:
            return  # left in eval mode: a rule of its own says so
        self.modes = [(module, module.training) for module in self.model.modules()]
        self.frozen = [m for m, mode in self.modes if not mode and _sleeps_on_purpose(m)]


def _sleeps_on_purpose(module: nn.Module) -> bool:
    """Tell whether a norm has statistics of its own to stand on, or does not learn either."""
    parameters = list(module.parameters())
    if parameters and not any(each.requires_grad for each in parameters):
        return True
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    return any(norm.running_mean is not None and bool(norm.running_mean.any()) for norm in norms)


@dataclass(frozen=True)
class KeptSamples:
    """A few training samples that came by, to look at the model with."""

    inputs: Tensor
    targets: Tensor

    def spread_out(self, count: int) -> KeptSamples:
        chosen = torch.linspace(0, len(self.inputs) - 1, min(count, len(self.inputs))).long()
        chosen = chosen.to(self.inputs.device)
        return KeptSamples(self.inputs[chosen], self.targets[chosen.to(self.targets.device)])

    def batches(self, size: int, /) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.inputs[:size], self.targets[:size]

    def __len__(self) -> int:
        return len(self.inputs)


@contextlib.contextmanager
def copied_buffers(model: nn.Module) -> Iterator[None]:
    """Let a model work on copies of its buffers: a loss of it may be about to go backward.

    To put a value back into a buffer would be a change that autograd refuses.
    """
    kept = [(m, name, b) for m in model.modules() for name, b in m._buffers.items()]
    try:
        for module, name, buffer in kept:
            module._buffers[name] = None if buffer is None else buffer.clone()
        yield
    finally:
        for module, name, buffer in kept:
            module._buffers[name] = buffer


def device_of(model: nn.Module) -> Device:
    """The device that a model's parameters are on; nothing is opened or set."""
    parameter = next(model.parameters(), None)
    where = torch.device("cpu") if parameter is None else parameter.device
    kind = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    return Device(where, "fp32", False, False, f"{kind} (where the model is)")


def precision_now(kind: str) -> Precision:
    """The precision that autocast gives at this place of the loop."""
    if not torch.is_autocast_enabled(kind):
        return "fp32"
    return "fp16" if torch.get_autocast_dtype(kind) == torch.float16 else "bf16"


@torch.no_grad()
def is_freshly_drawn(model: nn.Module) -> bool:
    """Tell whether all linear and convolutional weights are as torch draws them.

    That is uniformly, within 1 / sqrt(inputs of a unit); no training leaves them so.
    """
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Linear | _ConvNd)]
    return bool(weights) and all(_is_as_drawn(weight.float()) for weight in weights)


def _is_as_drawn(weight: Tensor) -> bool:
    bound = 1 / math.sqrt(max(1, weight[0].numel()))
    slack = 0.05 + 2 / math.sqrt(weight.numel())  # of few numbers the std is chance's
    is_within = float(weight.abs().amax()) <= BEYOND * bound
    return is_within and abs(float(weight.std(correction=0)) * math.sqrt(3) / bound - 1) < slack


def largest_dropout(model: nn.Module) -> float | None:
    """The largest probability of a dropout; None where there is none."""
    return max((float(e.p) for e in model.modules() if isinstance(e, _DropoutNd)), default=None)
