"""The hooks on a model, its loss and its optimizers, and what they see of a loop."""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.training.step_stats import LastStep
from expkit.watching.epoch_stats import Batch, EpochStats
from expkit.watching.learner import KeptSamples, Optimizers, WatchedLearner, precision_now
from expkit.watching.outputs import Shapes, main_output

NUM_KEPT = 64  # training samples that the model is asked about
NEAR_ENDS = 4  # parameters at each end, of which the smallest is asked


def see_nothing(*_: Any, **__: Any) -> None:
    """Stand for a hook in a copy of a watched model: an average of weights, or a pickle."""


def make_blind() -> Callable[..., None]:
    """Return what a pickle has in the place of a hook."""
    return see_nothing


class Hook:
    """A hook of ours, which goes into no copy of what it is on."""

    __torch_unserializable__ = True  # so that torch does not warn of it

    def __init__(self, observer: Observer, hook: Callable[..., None]) -> None:
        self._observer = observer
        self._hook = hook

    def __call__(self, *arguments: Any) -> None:
        self._observer.call(self._hook, *arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return make_blind, ()

    def __deepcopy__(self, _: Any) -> Callable[..., None]:
        return see_nothing


class Listener(Protocol):
    """Whoever is told what happens in a loop."""

    def new_epoch(self) -> EpochStats: ...

    def batch_begins(self) -> None: ...

    def step_begins(self) -> None: ...

    def gradients_are_there(self) -> None: ...

    def epoch_is_full(self) -> None: ...

    def failed(self, error: BaseException) -> None: ...


class Observer:
    """Sees a loop through hooks; between `open` and `close` alone, and in no call of our own."""

    def __init__(
        self,
        learner: WatchedLearner,
        loss_name: str,
        scaler: Any,
        listener: Listener,
    ) -> None:
        self.learner = learner
        self.shapes: Shapes | None = None
        self.samples: KeptSamples | None = None
        self.last_pair: tuple[Tensor, Tensor] | None = None  # that the loss was called with
        self.has_closure = False
        self.inputs_shape: tuple[int, ...] | None = None
        self.epoch = listener.new_epoch()
        self._loss_name = loss_name
        self._reduction = str(getattr(learner.loss, "reduction", "mean"))
        self._scaler = scaler
        self._listener = listener
        self._handles: list[Any] = []
        self._kept_inputs: Tensor | None = None
        self._latest: Batch | None = None  # not known to have gone backward
        self._closely: LastStep | None = None
        self._asked: list[nn.Parameter] = []
        self._left_norms: dict[int, Tensor] = {}  # of gradients after a backward pass
        self._is_own = False
        self._has_begun = False
        self._is_handed_over = False  # batches are, and are not counted by hooks

    def open(self) -> None:
        """Register all hooks that can be registered before the first batch."""
        model, first = self.learner.model, self.learner.optimizer.first
        self._handles = [
            model.register_forward_hook(self._guard(self._model_called), with_kwargs=True),
            first.register_step_pre_hook(self._guard(self._before_step)),
            first.register_step_post_hook(self._guard(self._after_step)),
        ]
        if isinstance(self.learner.loss, nn.Module):
            loss = self.learner.loss
            self._handles += [
                loss.register_forward_pre_hook(self._guard(self._loss_begins), with_kwargs=True),
                loss.register_forward_hook(self._guard(self._loss_called), with_kwargs=True),
            ]
        if self._scaler is not None:
            self._wrap_unscaling()

    def close(self) -> None:
        """Remove every hook: the loop is as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self._scaler is not None:
            self._scaler.__dict__.pop("unscale_", None)
        self._latest = self._closely = self.last_pair = None
        self._left_norms.clear()

    @contextlib.contextmanager
    def own_calls(self) -> Iterator[None]:
        """Call the model or the loss for ourselves: nothing is counted, no generator moves."""
        import numpy as np

        before = random.getstate(), np.random.get_state()
        self._is_own = True
        try:
            yield
        finally:
            self._is_own = False
            random.setstate(before[0])
            np.random.set_state(before[1])

    def start_epoch(self) -> None:
        self.epoch = self._listener.new_epoch()
        self._latest = None

    def _guard(self, hook: Callable[..., None]) -> Hook:
        return Hook(self, hook)

    def call(self, hook: Callable[..., None], *arguments: Any) -> None:
        """Call what a hook is for; a fault of ours ends the watching, and not the loop."""
        if self._is_own:
            return
        try:
            hook(*arguments)
        except UserError:
            raise
        except Exception as error:
            self._listener.failed(error)

    # the model

    def _model_called(self, _: nn.Module, inputs: Any, named: Any, output: Any) -> None:
        tensors = [each for each in (*inputs, *named.values()) if isinstance(each, Tensor)]
        first = tensors[0] if tensors else None
        if not torch.is_grad_enabled():
            if first is not None and first.dim():
                mode = "train" if self.learner.model.training else "eval"
                self.epoch.evaluated[mode] += len(first)
            return
        self._begin(first, is_only=len(inputs) == 1 and not named)
        if first is not None:
            self.epoch.see_inputs(first)
        own_loss = getattr(output, "loss", None)
        if isinstance(own_loss, Tensor) and isinstance(named.get("labels"), Tensor):
            self._see_loss(own_loss, output, named["labels"])

    def _begin(self, inputs: Tensor | None, *, is_only: bool = False) -> None:
        """Look at the first batch: every parameter is there by now, lazy ones too."""
        if self.epoch.started is None:
            self.epoch.started = time.perf_counter()
        if self._has_begun:
            return
        self._has_begun = True
        device = self.learner.device
        precision = precision_now(device.torch_device.type)
        self.learner.device = replace(device, precision=precision)
        self._listener.batch_begins()
        self.learner.remember_modes()
        if inputs is not None:
            self.inputs_shape = tuple(inputs.shape[1:])
            self._kept_inputs = inputs[:NUM_KEPT].detach().clone() if is_only else None
        for parameter in asked_parameters(self.learner.model, self.learner.optimizer):
            self._asked.append(parameter)
            reached = self._guard(functools.partial(self._backward_reached, parameter))
            self._handles.append(parameter.register_hook(reached))
            if self._scaler is not None:
                after = self._guard(self._gradient_added)
                self._handles.append(parameter.register_post_accumulate_grad_hook(after))

    # the loss

    def _loss_begins(self, _: nn.Module, inputs: Any, named: Any) -> None:
        """Keep what the loss is called with, as it may refuse it."""
        pair = _pair_of(inputs, named)
        if pair is not None:
            self.last_pair = (pair[0].detach(), pair[1].detach())

    def _loss_called(self, _: nn.Module, inputs: Any, named: Any, loss: Any) -> None:
        pair = _pair_of(inputs, named)
        if pair is not None and isinstance(loss, Tensor):
            self._see_loss(loss, *pair)

    def _see_loss(self, loss: Tensor, output: Any, targets: Tensor) -> None:
        """Remember a loss, and count it once it goes backward: an evaluation's does not."""
        batch = self._batch(loss, output, targets)
        if batch is None or self._is_handed_over:
            return
        self._latest = batch
        if loss.requires_grad and torch.is_grad_enabled():
            self._begin(None)
            self._shapes_of(batch.outputs, batch.targets)
            loss.register_hook(self._guard(functools.partial(self._count, batch)))

    def hand_over(self, loss: Tensor, outputs: Any, targets: Tensor) -> None:
        """Take a batch that the loop names itself; its loss may have gone backward already."""
        batch = self._batch(loss, outputs, targets)
        if batch is None:
            return
        pair = (batch.outputs, batch.targets)
        if not self._shapes_of(*pair).fit(*pair):
            raise UserError(
                f"outputs {tuple(pair[0].shape)} and targets {tuple(pair[1].shape)} do not fit "
                "each other, or the batches before",
                where="watch.step(loss, outputs, targets)",
                fix="hand over the outputs and targets of which the loss was made",
            )
        # a loss that the hooks have seen, too, counts once
        is_counted = not self._is_handed_over and self.epoch.has_batch_since_step
        self._is_handed_over, self._latest = True, None
        self._begin(None)
        if is_counted:
            return
        self._count(batch, None)
        if self.has_closure and self.epoch.is_first_of_all:
            self._listener.step_begins()
        if loss.requires_grad and loss.grad_fn is not None:
            loss.register_hook(self._guard(self._factor_seen))

    def _factor_seen(self, factor: Tensor) -> None:
        self.epoch.see_factor(factor.detach())

    def _batch(self, loss: Tensor, output: Any, targets: Tensor) -> Batch | None:
        outputs = main_output(output)
        if outputs is None or not isinstance(targets, Tensor):
            return None
        in_eval_mode = not self.learner.model.training
        return Batch(loss.detach(), outputs.detach(), targets.detach(), in_eval_mode)

    def _shapes_of(self, outputs: Tensor, targets: Tensor) -> Shapes:
        if self.shapes is None:
            self.shapes = Shapes.of(outputs, targets, self._loss_name)
        return self.shapes

    def _count(self, batch: Batch, factor: Tensor | None) -> None:
        """Count a batch of training."""
        shapes = self._shapes_of(batch.outputs, batch.targets)
        if batch is self._latest:
            self._latest = None
        if not shapes.fit(batch.outputs, batch.targets):
            return
        if self.samples is None and self._kept_inputs is not None:
            self._keep(shapes, batch)
        self.epoch.add(batch, shapes, None if factor is None else factor.detach(), self._reduction)

    def _keep(self, shapes: Shapes, batch: Batch) -> None:
        assert self._kept_inputs is not None, "asked before"
        targets = batch.targets[: len(self._kept_inputs)].clone()
        if len(targets) == len(self._kept_inputs):
            self.samples = KeptSamples(self._kept_inputs, targets)
        self._kept_inputs = None

    # gradients and steps

    def _backward_reached(self, parameter: nn.Parameter, _: Tensor) -> None:
        self.epoch.see_backward(parameter.grad)

    def _gradient_added(self, parameter: nn.Parameter) -> None:
        assert parameter.grad is not None, "it was just added"
        self._left_norms[id(parameter)] = torch.linalg.vector_norm(parameter.grad.detach())

    def _wrap_unscaling(self) -> None:
        """Look at a gradient when a scaler divides it: by then nothing should have changed it."""
        unscale = self._scaler.unscale_

        def watched(optimizer: Any) -> Any:
            self._guard(self._unscaled)(optimizer)
            return unscale(optimizer)

        self._scaler.unscale_ = watched

    def _unscaled(self, optimizer: Any) -> None:
        if optimizer is not self.learner.optimizer.first:
            return
        for parameter in self._asked:
            before = self._left_norms.pop(id(parameter), None)
            if before is not None and parameter.grad is not None:
                now = torch.linalg.vector_norm(parameter.grad.detach())
                self.epoch.see_unscaling(before, now)

    def _before_step(self, _: Any, inputs: Any, named: Any) -> None:
        closure = named.get("closure", inputs[1] if len(inputs) > 1 else None)  # 0 is itself
        self.has_closure = closure is not None
        if self.has_closure:  # it goes forward and backward within the step
            return
        if self._latest is not None and not self.epoch.has_batch_since_step:
            self._count(self._latest, None)  # its loss went nowhere, or was handed on detached
        if self.epoch.is_first_of_all:
            self._listener.step_begins()
        if not self.epoch.steps.num_steps:
            self._listener.gradients_are_there()
        self._closely = self.epoch.before_step(has_gradient=self._has_gradient())

    def _after_step(self, *_: Any) -> None:
        if self.has_closure:  # its gradients are those that are there afterwards
            if not self.epoch.steps.num_steps:
                self._listener.gradients_are_there()
            self.epoch.before_step(has_gradient=self._has_gradient(), may_look=False)
        self.epoch.after_step(self._closely)
        self._closely = None
        if self.epoch.is_full:
            self._listener.epoch_is_full()

    def _has_gradient(self) -> bool:
        return any(each.grad is not None for each in self.learner.model.parameters())


def _pair_of(inputs: Sequence[Any], named: dict[str, Any]) -> tuple[Tensor, Tensor] | None:
    """The outputs and the targets among what a loss is called with."""
    given = [*inputs, *(named[name] for name in ("input", "target") if name in named)]
    outputs = main_output(given[0]) if given else None
    if outputs is None or len(given) < 2 or not isinstance(given[1], Tensor):
        return None
    return outputs, given[1]


def asked_parameters(model: nn.Module, optimizer: Optimizers) -> list[nn.Parameter]:
    """A small parameter near each end of the model that the first optimizer moves."""
    moved = {id(each) for group in optimizer.first.param_groups for each in group["params"]}
    learning = [p for p in model.parameters() if p.requires_grad and id(p) in moved]
    ends = (learning[-NEAR_ENDS:], learning[:NEAR_ENDS])
    found = [min(end, key=lambda each: each.numel()) for end in ends if end]
    return list({id(each): each for each in found}.values())
