"""Learners that differ in nothing but their seeds, trained side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from expkit.data.split import batch_bounds
from expkit.engine.gauge import Gauge
from expkit.engine.loop import Curriculum, Epoch, Learner, step_bounds, sum_up
from expkit.engine.scoring import Sums
from expkit.engine.stack import Stack

# on a processor, in fp32: with four times as many, one after another was as fast or faster
MOST_PIXELS = 32 * 16 * 16  # of a batch
MOST_WEIGHTS = 100_000  # of a net


def pays(learner: Learner, curriculum: Curriculum) -> bool:
    """Whether a stack is faster than one after another: on a processor, where steps are small.

    Those are mostly overhead, and a stack takes half their time. Else batched convolutions, which
    become grouped ones, take twice the time of their parts, and in bf16 always.
    """
    if learner.device.torch_device.type != "cpu":
        return True
    _, height, width, _ = curriculum.split.images_NHWC.shape
    num_pixels = max(curriculum.sizes) * height * width
    num_weights = sum(weight.numel() for weight in learner.model.parameters())
    is_small = num_pixels <= MOST_PIXELS and num_weights <= MOST_WEIGHTS
    return learner.device.precision == "fp32" and is_small


def train_side_by_side(stack: Stack, curricula: Sequence[Curriculum], number: int) -> list[Epoch]:
    """The same epoch of all learners, each in its own order; what each one's has come to.

    Its time is the share of each. Nothing draws from torch's global generators.
    """
    started = time.perf_counter()
    learners, first = stack.learners, curricula[0]
    sizes, closely = first.sizes, number in first.looks
    steps = step_bounds(len(sizes), first.batches_per_step)
    sums = Sums(
        learners[0].device.torch_device, closely=closely, class_counts=first.balanced_counts
    )
    time_share = 1 / len(learners)
    gauges = [
        Gauge(each, len(sizes), (number - 1) * len(steps), closely=closely, time_share=time_share)
        for each in learners
    ]
    batches = _draw_batches(curricula, number)
    for learner, gauge in zip(learners, gauges, strict=True):
        learner.train_mode()
        batches = gauge.timed(batches)
    for index, (images_SBCHW, targets_SB) in enumerate(batches):
        start, stop = steps[index // first.batches_per_step]
        share = sizes[index] / sum(sizes[start:stop])
        losses_S, outputs_SBC = stack.collect(images_SBCHW, targets_SB, share)
        sums.add(losses_S, outputs_SBC, targets_SB, _weights_of(learners[0], targets_SB))
        for gauge, loss in zip(gauges, losses_S.unbind(), strict=True):
            gauge.see(loss)
        if index + 1 == stop:
            middle = (start + stop) / 2 / len(sizes)
            for learner in learners:
                learner.set_rate(learner.scale(number - 1 + middle, first.max_epochs))
            _take_step(stack, gauges)
    stack.finish()
    parts = zip(learners, curricula, sums.of_each(len(learners)), gauges, strict=True)
    return [
        sum_up(learner, curriculum, number, mine, gauge, started, time_share)
        for learner, curriculum, mine, gauge in parts
    ]


def _draw_batches(curricula: Sequence[Curriculum], number: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Everyone's next batch in one, gathered at once: they have the same samples."""
    split = curricula[0].split
    orders = [split.draw_order(each.order(number), balanced=each.balanced) for each in curricula]
    orders_SN = torch.stack(orders)
    for start, stop in batch_bounds(len(split), curricula[0].batch_size):
        images, targets = split.gather(orders_SN[:, start:stop].reshape(-1))
        shape = (len(curricula), stop - start)
        yield images.unflatten(0, shape), targets.unflatten(0, shape)


def _weights_of(learner: Learner, targets_SB: Tensor) -> Tensor | None:
    """What the mean losses are means over; None where it is samples."""
    weight_C: Tensor | None = getattr(learner.loss, "weight", None)
    if weight_C is None or targets_SB.is_floating_point():
        return None
    return weight_C[targets_SB].sum(-1)


def _take_step(stack: Stack, gauges: Sequence[Gauge]) -> None:
    if gauges[0].reads_gradients:
        stack.show_gradients()
    before = [gauge.before_step() for gauge in gauges]
    norms = stack.step()
    for gauge, seen, norm in zip(gauges, before, norms, strict=True):
        gauge.after_step(seen, norm)
