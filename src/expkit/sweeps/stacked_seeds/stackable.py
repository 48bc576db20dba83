"""The check that learners can be stacked: two of them, against each one alone."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn, optim

from expkit.errors import UserError
from expkit.optim.sam import is_sharpness_aware
from expkit.probes.preserve_state import preserve_state
from expkit.sweeps.stacked_seeds.stacked_learner import Stack
from expkit.training.learner import Learner

# each number by itself, and nothing but moments and a count of steps in their state
ELEMENTWISE: tuple[type[optim.Optimizer], ...] = (
    *(optim.SGD, optim.Adam, optim.AdamW, optim.RAdam),
    *(optim.RMSprop, optim.Adagrad, optim.Adadelta, optim.Adamax),
)
TOLERANCE = 0.02  # of a gradient's length, in fp32: a coupling between learners is no rounding
ROUNDING = 0.001  # of the length of all gradients
FIX = "launcher=local"
SLOW = "There is a performance drop"  # torch's words where vmap takes one learner after another

Gradients = dict[str, Tensor | None]


def refuse_unstackable(
    learners: Sequence[Learner], images_BCHW: Tensor, targets_B: Tensor, key: str
) -> None:
    """Refuse what the stack cannot do, by the name of the layer or of the key under `key`.

    The learners are two that may be spoilt, and differ in nothing but their weights.
    """
    first, device = learners[0], learners[0].device
    _refuse_settings(first, key)
    with preserve_state(first.model, first.loss):
        _refuse_draws(first, images_BCHW, targets_B)
        _refuse_following(first, images_BCHW, targets_B)
    for learner in learners:
        learner.device = replace(device, precision="fp32")
    alone = [_gradients_alone(each, images_BCHW, targets_B) for each in learners]
    together = _gradients_together(learners, images_BCHW, targets_B)
    for expected, found in zip(alone, together, strict=True):
        if name := _differing(expected, found):
            raise _refusal(
                f"the gradient of '{name}' is another when the models are trained as one",
                f"model: {name}",
            )
    if device.torch_device.type != "cpu":  # there nothing is stacked but fp32
        for learner in learners:
            learner.device = device
        _gradients_together(learners, images_BCHW, targets_B)


def _refuse_settings(learner: Learner, key: str) -> None:
    device, kind = learner.device, type(learner.optimizer)
    for is_so, what, where in (
        (
            kind not in ELEMENTWISE,
            f"{kind.__name__} is not known to treat every number by itself",
            f"optimizer._target_={kind.__module__}.{kind.__qualname__}",
        ),
        (
            is_sharpness_aware(learner.optimizer),
            "the two passes of each step of sam cannot be stacked",
            "optimizer: sam",
        ),
        (
            learner.average is not None,
            "the running mean of the weights cannot be stacked",
            f"{key}.ema_decay",
        ),
        (
            learner.swa_start is not None,
            "the mean of the weights cannot be stacked",
            f"{key}.swa_epochs",
        ),
        (device.compile, "compiled models cannot be stacked", "device.compile=true"),
        (
            learner.scaler.is_enabled(),
            "fp16 skips steps, and others for each seed",
            "device.precision=fp16",
        ),
        (
            next(learner.loss.parameters(), None) is not None,
            "a loss that learns cannot be stacked",
            f"loss: {type(learner.loss).__name__}",
        ),
    ):
        if is_so:
            raise _refusal(what, where)


def _refusal(what: str, where: str) -> UserError:
    return UserError(f"{what}: these seeds cannot train as one", where=where, fix=f"use {FIX}")


def _refuse_draws(learner: Learner, images_BCHW: Tensor, targets_B: Tensor) -> None:
    """Dropout, stochastic depth, noise: alone, each seed has draws of its own."""
    device = learner.device.torch_device
    drawn: list[str] = []

    def watch(name: str, module: nn.Module) -> tuple[Callable[..., None], Callable[..., None]]:
        before: list[Tensor] = []

        def enter(*given: Any) -> None:
            before.append(_generator_state(device))

        def leave(*given: Any) -> None:
            if not _generator_state(device).equal(before.pop()):
                drawn.append(f"{name or 'model'} ({type(module).__name__})")

        return enter, leave

    learner.train_mode()
    with _hooks(learner.model, watch), torch.no_grad():
        outputs = learner.model(learner.device.arrange(images_BCHW))
        before = _generator_state(device)
        learner.loss(outputs, targets_B)
    if not _generator_state(device).equal(before):
        drawn.append(f"loss ({type(learner.loss).__name__})")
    if drawn:  # the innermost layer is left first
        raise _refusal(f"{drawn[0]} draws random numbers", f"model: {drawn[0]}")


def _refuse_following(learner: Learner, images_BCHW: Tensor, targets_B: Tensor) -> None:
    """A loss whose buffers change with the training has others for each seed."""
    learner.train_mode()
    before = {name: each.clone() for name, each in learner.loss.named_buffers()}
    with torch.no_grad():
        learner.loss(learner.model(learner.device.arrange(images_BCHW)), targets_B)
    for name, buffer in learner.loss.named_buffers():
        if not buffer.equal(before[name]):
            kind = type(learner.loss).__name__
            raise _refusal(f"{kind}.{name} changes as the training goes", f"loss: {kind}")


def _generator_state(device: torch.device) -> Tensor:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else torch.get_rng_state()


@contextmanager
def _hooks(
    model: nn.Module,
    watch: Callable[[str, nn.Module], tuple[Callable[..., None], Callable[..., None]]],
) -> Iterator[None]:
    handles = []
    for name, module in model.named_modules():
        enter, leave = watch(name, module)
        handles.append(module.register_forward_pre_hook(enter))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _gradients_alone(learner: Learner, images_BCHW: Tensor, targets_B: Tensor) -> Gradients:
    learner.train_mode()
    with preserve_state(learner.model):
        loss = learner.loss(learner.model(learner.device.arrange(images_BCHW)), targets_B)
        loss.backward()
    gradients = _gradients_of(learner)
    learner.optimizer.zero_grad(set_to_none=True)
    return gradients


def _gradients_together(
    learners: Sequence[Learner], images_BCHW: Tensor, targets_B: Tensor
) -> list[Gradients]:
    inside: list[str] = []

    def watch(name: str, module: nn.Module) -> tuple[Callable[..., None], Callable[..., None]]:
        def enter(*given: Any) -> None:
            inside.append(f"{name or 'the model'} ({type(module).__name__})")

        def leave(*given: Any) -> None:
            inside.pop()

        return enter, leave

    images, targets = (torch.stack([each] * len(learners)) for each in (images_BCHW, targets_B))
    stack = Stack(learners)
    try:
        with warnings.catch_warnings(), _hooks(learners[0].model, watch):
            warnings.filterwarnings("error", SLOW)
            stack.forward_backward(images, targets, 1.0)
    except Exception as error:
        layer = inside[-1] if inside else f"loss ({type(learners[0].loss).__name__})"
        raise _refusal(f"{layer}: {_reason(error)}", f"model: {layer}") from error
    stack.show_gradients()
    return [_gradients_of(learner) for learner in learners]


def _reason(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    operation = re.search(r"batching rule for ([\w:]+)", text)
    return f"torch cannot batch {operation[1]}" if operation else text


def _gradients_of(learner: Learner) -> Gradients:
    return {name: p.grad for name, p in learner.model.named_parameters()}


def _differing(expected: Gradients, found: Gradients) -> str | None:
    """The first parameter whose gradient is another one, beyond what rounding can do.

    Where norms take a part out again, it is rounding alone: beside all gradients, that is small.
    """
    total = math.hypot(*(float(g.norm()) for g in expected.values() if g is not None))
    for name, gradient in expected.items():
        other = found[name]
        if gradient is None or other is None:
            if gradient is not other:
                return name
        elif (other - gradient).norm() > TOLERANCE * gradient.norm() + ROUNDING * total:
            return name
    return None
