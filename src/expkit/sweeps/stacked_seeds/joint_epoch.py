"""Learners that differ in nothing but their seeds, trained side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from expkit.data.store.split import batch_bounds
from expkit.sweeps.stacked_seeds.stacked_learner import Stack
from expkit.training.accumulator import MetricAccumulator
from expkit.training.learner import Learner
from expkit.training.loop import Epoch, EpochPlan, epoch_event
from expkit.training.step_stats import StepStats

# on a processor, in fp32: with four times as many, one after another was as fast or faster
MOST_PIXELS = 32 * 16 * 16  # of a batch
MOST_WEIGHTS = 100_000  # of a net


def pays(learner: Learner, plan: EpochPlan) -> bool:
    """Tell whether a stack is faster than one after another: on a processor, where steps are small.

    Those are mostly overhead, and a stack takes half their time. Else batched convolutions, which
    become grouped ones, take twice the time of their parts, and in bf16 always.
    """
    if learner.device.torch_device.type != "cpu":
        return True
    _, height, width, _ = plan.split.images_NHWC.shape
    num_pixels = max(plan.batch_sizes) * height * width
    num_weights = sum(weight.numel() for weight in learner.model.parameters())
    is_small = num_pixels <= MOST_PIXELS and num_weights <= MOST_WEIGHTS
    return learner.device.precision == "fp32" and is_small


def train_side_by_side(stack: Stack, plans: Sequence[EpochPlan], number: int) -> list[Epoch]:
    """The same epoch of all learners, each in its own order; what each one's has come to.

    Its time is divided among them. Nothing draws from torch's global generators.
    """
    started = time.perf_counter()
    learners, first = stack.learners, plans[0]
    sizes, closely = first.batch_sizes, number in first.probe_epochs
    steps = first.steps
    accumulator = MetricAccumulator(
        learners[0].device.torch_device, closely=closely, class_counts=first.balanced_counts
    )
    time_fraction = 1 / len(learners)
    stats = [
        StepStats(
            each,
            len(sizes),
            (number - 1) * len(steps),
            closely=closely,
            time_fraction=time_fraction,
        )
        for each in learners
    ]
    batches = _draw_batches(plans, number)
    for learner, step_stats in zip(learners, stats, strict=True):
        learner.train_mode()
        batches = step_stats.timed(batches)
    for index, (images_SBCHW, targets_SB) in enumerate(batches):
        start, stop = steps[index // first.batches_per_step]
        fraction = sizes[index] / sum(sizes[start:stop])
        losses_S, outputs_SBC = stack.forward_backward(images_SBCHW, targets_SB, fraction)
        accumulator.add(losses_S, outputs_SBC, targets_SB, _weights_of(learners[0], targets_SB))
        for step_stats, loss in zip(stats, losses_S.unbind(), strict=True):
            step_stats.see(loss)
        if index + 1 == stop:
            middle = (start + stop) / 2 / len(sizes)
            for learner in learners:
                learner.set_lr(learner.scale(number - 1 + middle, first.max_epochs))
            _take_step(stack, stats)
    stack.finish()
    parts = zip(learners, plans, accumulator.of_each(len(learners)), stats, strict=True)
    return [
        epoch_event(learner, plan, number, mine, step_stats, started, time_fraction)
        for learner, plan, mine, step_stats in parts
    ]


def _draw_batches(plans: Sequence[EpochPlan], number: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Everyone's next batch in one, gathered at once: they have the same samples."""
    split = plans[0].split
    orders = [split.draw_order(each.order(number), balanced=each.balanced) for each in plans]
    orders_SN = torch.stack(orders)
    for start, stop in batch_bounds(len(split), plans[0].batch_size):
        images, targets = split.gather(orders_SN[:, start:stop].reshape(-1))
        shape = (len(plans), stop - start)
        yield images.unflatten(0, shape), targets.unflatten(0, shape)


def _weights_of(learner: Learner, targets_SB: Tensor) -> Tensor | None:
    """The weights that mean losses are averaged by; None where samples count alike."""
    weight_C: Tensor | None = getattr(learner.loss, "weight", None)
    if weight_C is None or targets_SB.is_floating_point():
        return None
    return weight_C[targets_SB].sum(-1)


def _take_step(stack: Stack, stats: Sequence[StepStats]) -> None:
    if stats[0].reads_gradients:
        stack.show_gradients()
    before = [step_stats.before_step() for step_stats in stats]
    norms = stack.step()
    for step_stats, seen, norm in zip(stats, before, norms, strict=True):
        step_stats.after_step(seen, norm)
