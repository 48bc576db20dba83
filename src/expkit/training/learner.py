"""A model with all that it learns by: optimizer, loss, device, learning rate, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from expkit.optim.frozen_norms import frozen_norms
from expkit.optim.sam import is_sharpness_aware
from expkit.optim.unfreezing import THAWS_AT, thaw, thaw_scale
from expkit.training.batch_norm import names_of_batch_norms, refit_batch_norms
from expkit.training.device import Device
from expkit.training.sharpness import at_worst_weights

Scale = Callable[[float, int], float]  # of the learning rate, by epochs so far and in all


class Learner:
    """A model with all that it learns by."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss: nn.Module,
        device: Device,
        *,
        scale: Scale,
        max_gradient_norm: float | None = None,
        frozen: Sequence[nn.Module] = (),
        ema_decay: float | None = None,
        thaw_warmup_epochs: float = 0.0,
        swa_start: int | None = None,  # the epoch from which weights are averaged, one an epoch
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.device = device
        self.scale = scale
        self.max_gradient_norm = max_gradient_norm
        self.frozen = frozen  # layers that stay in eval mode while the model trains
        self._thaw_warmup_epochs = thaw_warmup_epochs
        self._unfreezes = any(THAWS_AT in group for group in optimizer.param_groups)
        self.swa_start = swa_start
        self._averages_steps = ema_decay is not None
        self.average = None if ema_decay is None else average_weights(model, ema_decay)
        self.scaler = torch.amp.GradScaler(
            device.torch_device.type, enabled=device.precision == "fp16"
        )
        self.forward: Callable[..., Tensor] = torch.compile(model) if device.compile else model
        self._is_sharpness_aware = is_sharpness_aware(optimizer)
        self._step_batches: list[tuple[Tensor, Tensor, float]] = []  # of the next step's two passes
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def start_epoch(self, number: int) -> None:
        """Train from here on, with what has thawed by this epoch, from 1."""
        if self._unfreezes:
            thaw(self.optimizer.param_groups, number)
            self.frozen = frozen_norms(self.model)
        self.train_mode()

    def train_mode(self) -> None:
        self.model.train()
        self.loss.train()
        for layer in self.frozen:
            layer.eval()

    @property
    def eval_model(self) -> nn.Module:
        """The model that is evaluated and saved: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    @property
    def lr(self) -> float:
        """The current learning rate of the first parameter group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set_lr(self, scale: float, epochs: float = math.inf) -> None:
        """Scale all learning rates; what has thawed not long before these epochs warms up."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale
            if self._unfreezes:
                group["lr"] *= thaw_scale(group, epochs, self._thaw_warmup_epochs)

    def forward_backward(
        self, images_BCHW: Tensor, targets: Tensor, *, fraction: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Add a batch's gradients, its fraction of the next step; return its loss and outputs."""
        if self._is_sharpness_aware:
            self._step_batches.append((images_BCHW, targets, fraction))
        return self._add_gradients(images_BCHW, targets, fraction)

    def _add_gradients(
        self, images_BCHW: Tensor, targets: Tensor, fraction: float
    ) -> tuple[Tensor, Tensor]:
        with self.device.autocast():
            outputs = self.forward(self.device.arrange(images_BCHW))
            loss: Tensor = self.loss(outputs, targets)
        self.scaler.scale(loss if fraction == 1.0 else loss * fraction).backward()
        return loss, outputs

    def weight_of(self, targets: Tensor) -> Tensor | float:
        """Return the weight of a batch's mean loss: its samples, or their class weights."""
        weight_C: Tensor | None = getattr(self.loss, "weight", None)
        if weight_C is None or targets.is_floating_point():
            return float(len(targets))
        return weight_C[targets].sum()

    def step(self) -> Tensor | None:
        """Take one optimizer step; return the norm of the gradients where it is clipped."""
        norm = None
        if self._is_sharpness_aware:
            self._second_pass()
        if self.max_gradient_norm is not None:
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.max_gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None and self._averages_steps:
            self.average.update_parameters(self.model)
        return norm

    def finish_epoch(
        self, number: int, batches: Callable[[], Iterable[tuple[Tensor, Tensor]]]
    ) -> None:
        """Take the weights into the mean over the last epochs, where this is one of them.

        Norms whose statistics training has changed get new ones, by one pass over the batches.
        """
        if self.swa_start is None or number < self.swa_start:
            return
        self.average = self.average or AveragedModel(self.model)
        self.average.update_parameters(self.model)
        mean, kept = self.average.module, self._kept_norms()
        stale = [name for name in names_of_batch_norms(mean) if name not in kept]
        if stale:
            refit_batch_norms(mean, stale, (images for images, _ in batches()), self.device)

    def _kept_norms(self) -> set[str]:
        """The names of layers whose statistics stand still while the model trains."""
        frozen = {id(layer) for layer in self.frozen}
        return {name for name, layer in self.model.named_modules() if id(layer) in frozen}

    def _second_pass(self) -> None:
        """Replace the gradients by those at the worst weights nearby, of the same batches.

        Dropout draws anew, as in published code; running statistics are not updated again.
        """
        batches, self._step_batches = self._step_batches, []
        with at_worst_weights(self.optimizer, (self.model, self.loss)):
            self.optimizer.zero_grad(set_to_none=True)
            for images_BCHW, targets, fraction in batches:
                self._add_gradients(images_BCHW, targets, fraction)


def average_weights(model: nn.Module, decay: float) -> AveragedModel:
    """Return a running mean of weights and buffers, which starts as the model is."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
