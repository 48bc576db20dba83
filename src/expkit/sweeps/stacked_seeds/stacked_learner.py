"""Learners as one: their weights in one tensor a parameter, their steps in one batched program."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from expkit.training.learner import Learner
from expkit.training.lr_finder import copy_optimizer

COUNT = "step"  # in the states of torch's optimizers: the one entry that is no parameter's moment


class Stack:
    """Every learner's weights and buffers are views into the stack, and so always up to date.

    The optimizer is one over the stack: it must treat every number by itself. What else must hold
    of learners, `refuse_unstackable` asks.
    """

    def __init__(self, learners: Sequence[Learner]) -> None:
        assert all(each.average is None and not each.scaler.is_enabled() for each in learners)
        self.learners = learners
        first = learners[0]
        models = [learner.model for learner in learners]
        self._weights = {
            name: _share_memory([model.get_parameter(name) for model in models])
            for name, _ in first.model.named_parameters()
        }
        self._buffers = {
            name: _share_memory([model.get_buffer(name) for model in models])
            for name, _ in first.model.named_buffers()
        }
        self._optimizer = self._stack_optimizer()
        self._are_shown = False  # the gradients, at the learners' parameters

    def _stack_optimizer(self) -> torch.optim.Optimizer:
        first = self.learners[0]
        own = dict(first.model.named_parameters())
        memo: dict[int, Any] = {id(p): self._weights[name] for name, p in own.items()}
        optimizer = copy_optimizer(first.optimizer, memo)
        for name, stacked in self._weights.items():
            states = [
                learner.optimizer.state[learner.model.get_parameter(name)]
                for learner in self.learners
                if learner.model.get_parameter(name) in learner.optimizer.state
            ]
            if states:
                optimizer.state[stacked] = {
                    key: _join(key, [state[key] for state in states]) for key in states[0]
                }
        return optimizer

    def forward_backward(
        self, images_SBCHW: Tensor, targets_SB: Tensor, fraction: float
    ) -> tuple[Tensor, Tensor]:
        """Add every learner's gradients; return losses S and outputs S x B x C."""
        batched = torch.vmap(self._answer, randomness="error")
        with warnings.catch_warnings():
            # pooling to 1 x 1 only renames its strides, and does so for each learner
            warnings.filterwarnings("ignore", ".*aten::as_strided_")
            losses_S, outputs_SBC = batched(self._weights, self._buffers, images_SBCHW, targets_SB)
        (losses_S.sum() * fraction).backward()
        return losses_S.detach(), outputs_SBC.detach()

    def _answer(
        self,
        weights: dict[str, Tensor],
        buffers: dict[str, Tensor],
        images_BCHW: Tensor,
        targets_B: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One learner's loss and outputs, as `Learner.forward_backward` has them."""
        first = self.learners[0]
        with first.device.autocast():
            arranged = first.device.arrange(images_BCHW)
            outputs = functional_call(first.model, (weights, buffers), (arranged,))
            return first.loss(outputs, targets_B), outputs

    def show_gradients(self) -> None:
        """Put them where each learner's own parameters have them."""
        for name, stacked in self._weights.items():
            if stacked.grad is not None:
                for learner, gradient in zip(self.learners, stacked.grad.unbind(), strict=True):
                    learner.model.get_parameter(name).grad = gradient
        self._are_shown = True

    def step(self) -> Sequence[Tensor | None]:
        """One step of everyone; the norms of the gradients where they are bounded."""
        norms = self._clip()
        for mine, theirs in zip(
            self._optimizer.param_groups, self.learners[0].optimizer.param_groups, strict=True
        ):
            mine["lr"] = theirs["lr"]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self._are_shown:
            for learner in self.learners:
                learner.optimizer.zero_grad(set_to_none=True)
            self._are_shown = False
        return norms

    def _clip(self) -> Sequence[Tensor | None]:
        """The gradients of each learner are cut by their own norm."""
        bound = self.learners[0].max_gradient_norm
        gradients = [p.grad for p in self._weights.values() if p.grad is not None]
        if bound is None or not gradients:
            return [None] * len(self.learners)
        lengths = [torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients]
        norms_S = torch.linalg.vector_norm(torch.stack(lengths), dim=0)
        scales_S = (bound / (norms_S + 1e-6)).clamp(max=1.0)  # as clip_grad_norm_ has it
        for gradient in gradients:
            gradient.mul_(scales_S.view(-1, *[1] * (gradient.dim() - 1)))
        return list(norms_S)

    def finish(self) -> None:
        """Hand the optimizer's state back: what is of a parameter's shape as views of the stack."""
        for name, stacked in self._weights.items():
            for index, learner in enumerate(self.learners):
                own = learner.model.get_parameter(name)
                if state := self._optimizer.state.get(stacked):
                    learner.optimizer.state[own] = {
                        key: _part(key, value, index) for key, value in state.items()
                    }


def _share_memory(tensors: Sequence[Tensor]) -> Tensor:
    """One tensor, of which the given ones become views, each laid out as it was."""
    first = tensors[0]
    stacked = _stack(tensors)
    for tensor, view in zip(tensors, stacked.unbind(), strict=True):
        tensor.data = view
    return stacked.requires_grad_(first.requires_grad)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Fused optimizers walk state and parameter side by side in memory: strides must agree."""
    first = tensors[0]
    shape, strides = (len(tensors), *first.shape), (first.numel(), *first.stride())
    stacked = torch.empty_strided(shape, strides, dtype=first.dtype, device=first.device)
    for tensor, view in zip(tensors, stacked.unbind(), strict=True):
        view.copy_(tensor.detach())
    return stacked


def _join(key: str, values: Sequence[Any]) -> Any:
    """An entry of the optimizers' states: moments are stacked, a count of steps is everyone's."""
    first = values[0]
    if isinstance(first, Tensor) and key != COUNT:
        return _stack(values)
    assert all(float(each) == float(first) for each in values), "all have gone as many steps"
    return first.clone() if isinstance(first, Tensor) else first


def _part(key: str, value: Any, index: int) -> Any:
    if isinstance(value, Tensor):
        return value.clone() if key == COUNT else value[index]
    return value
