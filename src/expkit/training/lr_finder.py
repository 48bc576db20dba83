"""A learning-rate range test: which rates a model learns at, and from which on it bursts."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean, pstdev
from typing import Any

import torch
from torch import Tensor

from expkit.data.store.split import Split
from expkit.training.learner import Learner

LOWEST, HIGHEST = 1e-7, 10.0
NUM_STEPS = 60  # seven and a half a decade
MIN_STEPS = 15  # with fewer, two rates are more than a factor of three apart
SAFETY = 20  # short trainings did best at a tenth (SGD) to a thirtieth (Adam) of where it bursts
NUM_TIMED = 3  # of which the first is left out: it allocates
NOISES = 5  # standard deviations of the loss that a batch's draw may not reach
LEAST_RISE = 0.03  # and the least fraction of the loss that counts
SMOOTHING = 0.7  # of the running mean of the losses


def sweep_lrs(
    learner: Learner, split: Split, *, batch_size: int, seed: int, max_seconds: float = 4.0
) -> dict[str, Any] | None:
    """Train a copy at rates that rise from step to step; None where time is short or none is made.

    The rates are those of the first parameter group, and the others keep their ratio to it. The
    learner stays as it is, and so do torch's generators.
    """
    configured = float(learner.optimizer.param_groups[0]["initial_lr"])
    if configured <= 0:
        return None
    with torch.random.fork_rng(**_generators(learner.device.torch_device)):
        torch.manual_seed(seed)
        try:
            trial = copy_learner(learner)
        except (RuntimeError, TypeError):  # a model that cannot be copied is none to try rates on
            return None
        batches = _endless(split, batch_size, seed)
        lrs = _affordable_lrs(trial, batches, configured, max_seconds)
        if lrs is None:
            return None
        left = _leaves_gradients(trial)
        losses = list(_losses(trial, batches, configured, lrs))
    if len(losses) < 4:  # no number from the start: it is not the rate that tells
        return None
    found = summarise(lrs[: len(losses)], losses)
    return {"configured": configured, "gradients_left": left, **found}


def copy_learner(learner: Learner) -> Learner:
    """Another learner in the same state; one memo, so that the optimizer moves the copy."""
    memo: dict[int, Any] = {}
    return Learner(
        copy.deepcopy(learner.model, memo),
        copy_optimizer(learner.optimizer, memo),
        copy.deepcopy(learner.loss, memo),
        replace(learner.device, compile=False),
        scale=learner.scale,
        max_gradient_norm=learner.max_gradient_norm,
        frozen=copy.deepcopy(list(learner.frozen), memo),
    )


def copy_optimizer(optimizer: torch.optim.Optimizer, memo: dict[int, Any]) -> torch.optim.Optimizer:
    """With all attributes: copied as torch does it, an optimizer keeps none of a subclass's."""
    clone = object.__new__(type(optimizer))
    memo[id(optimizer)] = clone
    vars(clone).update(copy.deepcopy(vars(optimizer), memo))
    return clone


def _leaves_gradients(trial: Learner) -> bool:
    """Tell whether a step is not cleared away: the next one would go along its gradients too."""
    stepped = [p for group in trial.optimizer.param_groups for p in group["params"]]
    return any(p.grad is not None and bool(p.grad.any()) for p in stepped)


def _generators(device: torch.device) -> dict[str, Any]:
    """The random generators to restore afterwards, beside the CPU's."""
    if device.type == "cpu":
        return {"devices": []}
    return {"devices": [device.index or 0], "device_type": device.type}


def _endless(split: Split, batch_size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.Generator().manual_seed(seed)
    while True:
        yield from split.batches(batch_size, shuffle=True, generator=order)


def _affordable_lrs(
    trial: Learner,
    batches: Iterator[tuple[Tensor, Tensor]],
    configured: float,
    max_seconds: float,
) -> list[float] | None:
    """The rates of as many steps as there is time for, by the time of the first few."""
    started = time.perf_counter()
    marks = []
    for _ in _losses(trial, batches, configured, [LOWEST] * NUM_TIMED):
        marks.append(time.perf_counter())
        if marks[-1] - started > max_seconds:
            return None
    step_seconds = (marks[-1] - marks[0]) / (NUM_TIMED - 1)
    left_seconds = max_seconds - (marks[-1] - started)
    num_steps = min(NUM_STEPS, int(left_seconds / max(step_seconds, 1e-9)))
    if num_steps < MIN_STEPS:
        return None
    growth = (HIGHEST / LOWEST) ** (1 / (num_steps - 1))
    return [LOWEST * growth**index for index in range(num_steps)]


def _losses(
    trial: Learner,
    batches: Iterator[tuple[Tensor, Tensor]],
    configured: float,
    lrs: Sequence[float],
) -> Iterator[float]:
    """The loss before each step, until it is no number or far above its start."""
    trial.train_mode()
    first = None
    for lr, (images_BCHW, targets) in zip(lrs, batches, strict=False):
        trial.set_lr(lr / configured)
        loss = trial.forward_backward(images_BCHW, targets)[0].item()
        trial.step()
        yield loss
        first = loss if first is None else first
        if not loss < 5 * abs(first) + 1:
            return


def summarise(lrs: Sequence[float], losses: Sequence[float]) -> dict[str, Any]:
    """Summarize losses by learning rate; the lowest quarter of the rates teaches nothing yet.

    A tenth of the rate at which the loss bursts is what short trainings at constant rates found
    best, within a factor of three (seven pairs of a model and an optimizer; see the tests).
    """
    head = losses[: len(losses) // 4]
    level, noise = fmean(head), pstdev(head)
    margin = max(NOISES * noise, LEAST_RISE * abs(level))
    smoothed = smooth(losses)
    diverged_at = first_above(lrs, losses, level + margin)
    return {
        "lrs": list(lrs),
        "losses": list(losses),
        "smoothed": smoothed,
        "num_steps": len(losses),
        "diverged_at": diverged_at,
        "steepest_at": steepest(lrs, smoothed, margin),
        "suggested": None if diverged_at is None else diverged_at / SAFETY,
    }


def first_above(lrs: Sequence[float], losses: Sequence[float], bound: float) -> float | None:
    """The rate from which on the loss is above the bound, twice running or without end."""
    above = [not loss <= bound for loss in losses]
    for index, lr in enumerate(lrs):
        if all(above[index : index + 2]):
            return lr
    return None


def steepest(lrs: Sequence[float], smoothed: Sequence[float], margin: float) -> float | None:
    """Where the loss falls fastest from one rate to the next; None where it does not fall."""
    if smoothed[0] - min(smoothed) < margin:
        return None
    falls = [before - after for before, after in itertools.pairwise(smoothed)]
    return lrs[falls.index(max(falls)) + 1]


def smooth(losses: Sequence[float]) -> list[float]:
    """A running mean that forgets, corrected for its start as Adam's is."""
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed.append(mean / (1 - SMOOTHING**count))
    return smoothed
