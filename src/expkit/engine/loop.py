"""The training loop: it yields an event an epoch and knows of nothing but learning."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from expkit.data.split import Split, batch_bounds
from expkit.engine.device import Device
from expkit.engine.randomness import seed_everything, seed_for
from expkit.engine.scoring import Sums

Scale = Callable[[float, int], float]  # of the learning rate, by epochs so far and in all


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training samples came to."""

    number: int  # from 1
    step: int  # optimisation steps so far
    metrics: dict[str, float]
    lr: float  # of the last step, first parameter group
    seconds: float
    num_samples: int


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
        batch_norm_frozen: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.device = device
        self.scale = scale
        self.max_gradient_norm = max_gradient_norm
        self.batch_norm_frozen = batch_norm_frozen
        self.scaler = torch.amp.GradScaler(
            device.torch_device.type, enabled=device.precision == "fp16"
        )
        self.forward: Callable[[Tensor], Tensor] = torch.compile(model) if device.compile else model
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def train_mode(self) -> None:
        self.model.train()
        if self.batch_norm_frozen:
            for layer in self.model.modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                    layer.eval()

    def set_rate(self, scale: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale

    def step(self, images_BCHW: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One optimisation step; the loss and the outputs before it."""
        with self.device.autocast():
            outputs = self.forward(self.device.arrange(images_BCHW))
            loss: Tensor = self.loss(outputs, targets)
        self.scaler.scale(loss).backward()
        if self.max_gradient_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.max_gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return loss, outputs


def train_epochs(
    learner: Learner,
    split: Split,
    *,
    batch_size: int,
    max_epochs: int,
    seed: int,
    shuffle: bool = True,
    first_epoch: int = 1,
) -> Iterator[Epoch]:
    """Train, an epoch at each `next`; every epoch draws from seeds of its own."""
    steps = len(batch_bounds(len(split), batch_size))
    for number in range(first_epoch, max_epochs + 1):
        started = time.perf_counter()
        seed_everything(seed, "epoch", number)
        order = torch.Generator().manual_seed(seed_for(seed, "order", number))
        sums = Sums(learner.device.torch_device)
        learner.train_mode()
        batches = split.batches(batch_size, shuffle=shuffle, generator=order)
        for index, (images_BCHW, targets) in enumerate(batches):
            # the middle of the step: neither its start nor its end wastes a step at rate 0
            learner.set_rate(learner.scale(number - 1 + (index + 0.5) / steps, max_epochs))
            loss, outputs = learner.step(images_BCHW, targets)
            sums.add(loss, outputs, targets)
        metrics = sums.means()
        yield Epoch(
            number=number,
            step=number * steps,
            metrics=metrics,
            lr=learner.optimizer.param_groups[0]["lr"],
            seconds=time.perf_counter() - started,
            num_samples=len(split),
        )


@torch.no_grad()
def evaluate(learner: Learner, split: Split, batch_size: int) -> dict[str, float]:
    """The same figures as in training, of a model that stands still."""
    learner.model.eval()
    sums = Sums(learner.device.torch_device)
    for images_BCHW, targets in split.batches(batch_size):
        with learner.device.autocast():
            outputs = learner.forward(learner.device.arrange(images_BCHW))
            loss = learner.loss(outputs, targets)
        sums.add(loss, outputs, targets)
    return sums.means()
