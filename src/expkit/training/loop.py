"""The training loop: it yields one event an epoch, and knows neither files nor terminals."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from expkit.data.store.split import Split, batch_bounds
from expkit.training.accumulator import MetricAccumulator
from expkit.training.augmentation import UNCHANGED, Augmentation
from expkit.training.learner import Learner
from expkit.training.seeding import seed_everything, seed_for
from expkit.training.step_stats import StepStats


@dataclass(frozen=True)
class Epoch:
    """One pass over the training samples, and what was measured of it."""

    number: int  # from 1
    step: int  # optimizer steps so far
    metrics: dict[str, float]
    lr: float  # of the last step, first parameter group
    seconds: float
    num_samples: int
    signals: Mapping[str, Any] = field(default_factory=dict)  # statistics of its steps
    first_steps: Sequence[Mapping[str, float]] = ()
    waited_seconds: float = 0.0  # for others that train with it


@dataclass(frozen=True)
class EpochPlan:
    """The samples, batches and steps that every epoch of a training goes through."""

    split: Split
    batch_size: int
    max_epochs: int
    seed: int
    shuffle: bool = True
    balanced: bool = False
    batches_per_step: int = 1
    augmentation: Augmentation = UNCHANGED
    probe_epochs: Container[int] = ()  # epochs whose layers and last step are measured too
    stage: str = ""  # of the procedure

    @cached_property
    def balanced_counts(self) -> Tensor | None:
        """The samples that each class has, where they are drawn as if there were equally many."""
        counts = self.split.class_counts if self.balanced else None
        return None if counts is None else torch.tensor(counts, device=self.split.targets.device)

    @cached_property
    def batch_sizes(self) -> list[int]:
        """The number of samples in each batch of an epoch."""
        return [stop - start for start, stop in batch_bounds(len(self.split), self.batch_size)]

    @cached_property
    def steps(self) -> list[tuple[int, int]]:
        """The batches of each optimizer step, from and to; the last step may have fewer."""
        count = len(self.batch_sizes)
        starts = range(0, count, self.batches_per_step)
        return [(start, min(start + self.batches_per_step, count)) for start in starts]

    def shuffled(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The samples as they are, in the order of an epoch: batches of one class are no sample."""
        return self.split.batches(self.batch_size, shuffle=True, generator=self.order(number))

    def order(self, number: int) -> torch.Generator:
        """Return the generator that draws the order of one epoch's samples."""
        return torch.Generator().manual_seed(seed_for(self.seed, "order", number))


TrainEpochs = Callable[[Learner, EpochPlan, int], Iterator[Epoch]]


def train_epochs(learner: Learner, plan: EpochPlan, first_epoch: int = 1) -> Iterator[Epoch]:
    """Train, one epoch at each `next`."""
    for number in range(first_epoch, plan.max_epochs + 1):
        yield train_epoch(learner, plan, number)


def train_epoch(learner: Learner, plan: EpochPlan, number: int) -> Epoch:
    """Train one pass over the training samples; every epoch draws from its own seed."""
    started = time.perf_counter()
    seed_everything(plan.seed, "epoch", number)
    is_probed = number in plan.probe_epochs
    accumulator = MetricAccumulator(
        learner.device.torch_device, closely=is_probed, class_counts=plan.balanced_counts
    )
    step_stats = StepStats(
        learner, len(plan.batch_sizes), (number - 1) * len(plan.steps), closely=is_probed
    )
    learner.start_epoch(number)
    batches = plan.split.batches(
        plan.batch_size,
        shuffle=plan.shuffle,
        generator=plan.order(number),
        balanced=plan.balanced,
        augment=None if plan.augmentation.is_identity else plan.augmentation,
    )
    num_classes = len(plan.split.class_names or ())
    for index, (images_BCHW, targets) in enumerate(step_stats.timed(batches)):
        inputs_BCHW, mixed_targets = plan.augmentation.mix(images_BCHW, targets, num_classes)
        start, stop = plan.steps[index // plan.batches_per_step]
        fraction = plan.batch_sizes[index] / sum(plan.batch_sizes[start:stop])

        loss, outputs = learner.forward_backward(inputs_BCHW, mixed_targets, fraction=fraction)
        accumulator.add(loss, outputs, targets, learner.weight_of(mixed_targets))
        step_stats.see(loss)

        if index + 1 == stop:
            # the middle of the step: neither its start nor its end wastes a step at rate 0
            middle = (start + stop) / 2 / len(plan.batch_sizes)
            epochs = number - 1 + middle
            learner.set_lr(learner.scale(epochs, plan.max_epochs), epochs)
            before = step_stats.before_step()
            gradient_norm = learner.step()
            step_stats.after_step(before, gradient_norm)
    learner.finish_epoch(number, lambda: plan.shuffled(number))
    return epoch_event(learner, plan, number, accumulator, step_stats, started)


def epoch_event(
    learner: Learner,
    plan: EpochPlan,
    number: int,
    accumulator: MetricAccumulator,
    step_stats: StepStats,
    started: float,
    time_fraction: float = 1.0,
) -> Epoch:
    """Make the event of an epoch; this waits for the device."""
    metrics = accumulator.means()
    seconds = (time.perf_counter() - started) * time_fraction
    return Epoch(
        number=number,
        step=number * len(plan.steps),
        metrics=metrics,
        lr=learner.lr,
        seconds=seconds,
        num_samples=len(plan.split),
        signals={**accumulator.signals(), **step_stats.read(seconds)},
        first_steps=step_stats.first_steps(),
    )


def evaluate(learner: Learner, split: Split, batch_size: int) -> dict[str, float]:
    """Return the metrics of training, of the model as it is."""
    return score(learner, split, batch_size).means()


@torch.no_grad()
def score(
    learner: Learner, split: Split, batch_size: int, *, closely: bool = False
) -> MetricAccumulator:
    """Evaluate a split in one pass."""
    model = learner.eval_model.eval()
    learner.loss.eval()  # one that follows the training must not follow this pass
    forward = learner.forward if model is learner.model else model
    accumulator = MetricAccumulator(learner.device.torch_device, closely=closely)
    for images_BCHW, targets in split.batches(batch_size):
        with learner.device.autocast():
            outputs = forward(learner.device.arrange(images_BCHW))
            loss = learner.loss(outputs, targets)
        accumulator.add(loss, outputs, targets, learner.weight_of(targets))
    return accumulator
