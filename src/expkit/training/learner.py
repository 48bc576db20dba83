"""A model with all that it learns by: optimizer, loss, device, learning rate, averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from expkit.training.device import Device

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
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.device = device
        self.scale = scale
        self.max_gradient_norm = max_gradient_norm
        self.frozen = frozen  # layers that stay in eval mode while the model trains
        self.average = None if ema_decay is None else average_weights(model, ema_decay)
        self.scaler = torch.amp.GradScaler(
            device.torch_device.type, enabled=device.precision == "fp16"
        )
        self.forward: Callable[..., Tensor] = torch.compile(model) if device.compile else model
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def train_mode(self) -> None:
        self.model.train()
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

    def set_lr(self, scale: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale

    def forward_backward(
        self, images_BCHW: Tensor, targets: Tensor, *, fraction: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Add a batch's gradients, its fraction of the next step; return its loss and outputs."""
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
        if self.max_gradient_norm is not None:
            self.scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.max_gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.model)
        return norm


def average_weights(model: nn.Module, decay: float) -> AveragedModel:
    """Return a running mean of weights and buffers, which starts as the model is."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
