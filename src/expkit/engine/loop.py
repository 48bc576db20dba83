"""The training loop: it yields an event an epoch and knows of nothing but learning."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from expkit.data.split import Split, batch_bounds
from expkit.engine.augmentation import UNCHANGED, Augmentation
from expkit.engine.device import Device
from expkit.engine.gauge import Gauge
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
    signals: Mapping[str, Any] = field(default_factory=dict)  # what its steps say of the learning
    first_steps: Sequence[Mapping[str, float]] = ()


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
        self.frozen = frozen  # layers that stand still while the model trains
        self.average = None if ema_decay is None else average_weights(model, ema_decay)
        self.scaler = torch.amp.GradScaler(
            device.torch_device.type, enabled=device.precision == "fp16"
        )
        self.forward: Callable[[Tensor], Tensor] = torch.compile(model) if device.compile else model
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def train_mode(self) -> None:
        self.model.train()
        for layer in self.frozen:
            layer.eval()

    @property
    def answering(self) -> nn.Module:
        """The model that is evaluated and kept: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    @property
    def rate(self) -> float:
        """Of the first parameter group, as it stands."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set_rate(self, scale: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale

    def collect(
        self, images_BCHW: Tensor, targets: Tensor, *, share: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Add a batch's gradients, as a share of the next step's; its loss and outputs."""
        with self.device.autocast():
            outputs = self.forward(self.device.arrange(images_BCHW))
            loss: Tensor = self.loss(outputs, targets)
        self.scaler.scale(loss if share == 1.0 else loss * share).backward()
        return loss, outputs

    def weight_of(self, targets: Tensor) -> Tensor | float:
        """What a batch's mean loss is a mean over: samples, or the weights of their classes."""
        weight_C: Tensor | None = getattr(self.loss, "weight", None)
        if weight_C is None or targets.is_floating_point():
            return float(len(targets))
        return weight_C[targets].sum()

    def step(self) -> Tensor | None:
        """One optimisation step along the gradients collected; their norm where it was bounded."""
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
    """A running mean of weights and statistics, which starts as the model stands."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


@dataclass(frozen=True)
class Curriculum:
    """What every epoch of a training goes through, and in which steps."""

    split: Split
    batch_size: int
    max_epochs: int
    seed: int
    shuffle: bool = True
    balanced: bool = False
    batches_per_step: int = 1
    augmentation: Augmentation = UNCHANGED
    looks: Container[int] = ()  # epochs that are looked at closely

    @cached_property
    def balanced_counts(self) -> Tensor | None:
        """The samples that each class has, where they are drawn as if there were equally many."""
        counts = self.split.class_counts if self.balanced else None
        return None if counts is None else torch.tensor(counts, device=self.split.targets.device)

    @property
    def sizes(self) -> list[int]:
        """Of the batches."""
        return [stop - start for start, stop in batch_bounds(len(self.split), self.batch_size)]

    def order(self, number: int) -> torch.Generator:
        """What draws the order of one epoch's samples."""
        return torch.Generator().manual_seed(seed_for(self.seed, "order", number))


def train_epochs(
    learner: Learner,
    split: Split,
    *,
    batch_size: int,
    max_epochs: int,
    seed: int,
    shuffle: bool = True,
    balanced: bool = False,
    batches_per_step: int = 1,
    augmentation: Augmentation = UNCHANGED,
    first_epoch: int = 1,
    looks: Container[int] = (),
) -> Iterator[Epoch]:
    """Train, an epoch at each `next`."""
    curriculum = Curriculum(
        split,
        batch_size,
        max_epochs,
        seed,
        shuffle=shuffle,
        balanced=balanced,
        batches_per_step=batches_per_step,
        augmentation=augmentation,
        looks=looks,
    )
    for number in range(first_epoch, max_epochs + 1):
        yield train_epoch(learner, curriculum, number)


def train_epoch(learner: Learner, curriculum: Curriculum, number: int) -> Epoch:
    """One pass over the training samples; every epoch draws from seeds of its own."""
    started = time.perf_counter()
    split, sizes = curriculum.split, curriculum.sizes
    steps = step_bounds(len(sizes), curriculum.batches_per_step)
    num_classes = len(split.class_names or ())
    augmentation = curriculum.augmentation
    closely = number in curriculum.looks
    seed_everything(curriculum.seed, "epoch", number)
    sums = Sums(
        learner.device.torch_device, closely=closely, class_counts=curriculum.balanced_counts
    )
    gauge = Gauge(learner, len(sizes), (number - 1) * len(steps), closely=closely)
    learner.train_mode()
    batches = split.batches(
        curriculum.batch_size,
        shuffle=curriculum.shuffle,
        generator=curriculum.order(number),
        balanced=curriculum.balanced,
        augment=None if augmentation.is_identity else augmentation,
    )
    for index, (images_BCHW, targets) in enumerate(gauge.timed(batches)):
        inputs_BCHW, wanted = augmentation.mix(images_BCHW, targets, num_classes)
        start, stop = steps[index // curriculum.batches_per_step]
        share = sizes[index] / sum(sizes[start:stop])
        loss, outputs = learner.collect(inputs_BCHW, wanted, share=share)
        sums.add(loss, outputs, targets, learner.weight_of(wanted))
        gauge.see(loss)
        if index + 1 == stop:
            # the middle of the step: neither its start nor its end wastes a step at rate 0
            middle = (start + stop) / 2 / len(sizes)
            learner.set_rate(learner.scale(number - 1 + middle, curriculum.max_epochs))
            gauge.take_step()
    return sum_up(learner, curriculum, number, sums, gauge, started)


def sum_up(
    learner: Learner,
    curriculum: Curriculum,
    number: int,
    sums: Sums,
    gauge: Gauge,
    started: float,
    time_share: float = 1.0,
) -> Epoch:
    """The epoch as it is told; this waits for the device."""
    metrics = sums.means()
    seconds = (time.perf_counter() - started) * time_share
    return Epoch(
        number=number,
        step=number * len(step_bounds(len(curriculum.sizes), curriculum.batches_per_step)),
        metrics=metrics,
        lr=learner.rate,
        seconds=seconds,
        num_samples=len(curriculum.split),
        signals={**sums.signals(), **gauge.read(seconds)},
        first_steps=gauge.first_steps(),
    )


def step_bounds(num_batches: int, batches_per_step: int) -> list[tuple[int, int]]:
    """From which batch to which each optimisation step collects; the last may have fewer."""
    starts = range(0, num_batches, batches_per_step)
    return [(start, min(start + batches_per_step, num_batches)) for start in starts]


def evaluate(learner: Learner, split: Split, batch_size: int) -> dict[str, float]:
    """The same figures as in training, of a model that stands still."""
    return score(learner, split, batch_size).means()


@torch.no_grad()
def score(learner: Learner, split: Split, batch_size: int, *, closely: bool = False) -> Sums:
    """One pass of a model that stands still."""
    model = learner.answering.eval()
    forward = learner.forward if model is learner.model else model
    sums = Sums(learner.device.torch_device, closely=closely)
    for images_BCHW, targets in split.batches(batch_size):
        with learner.device.autocast():
            outputs = forward(learner.device.arrange(images_BCHW))
            loss = learner.loss(outputs, targets)
        sums.add(loss, outputs, targets, learner.weight_of(targets))
    return sums
