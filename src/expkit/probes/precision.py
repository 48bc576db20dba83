"""Gradients in the precision of the run beside those in fp32, on the same few samples."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from expkit.data.store.split import Split
from expkit.probes.preserve_state import preserve_state
from expkit.training.learner import Learner


def precision_gap(learner: Learner, split: Split, num_samples: int) -> dict[str, Any] | None:
    """The parameter whose gradient is furthest from fp32's; None in fp32, or where nothing trains.

    A kernel that overflows, or leaves a part of its result unset, is found by it.
    """
    if learner.device.precision == "fp32":
        return None
    images_BCHW, targets = next(split.spread_out(num_samples).batches(num_samples))
    images_BCHW = learner.device.arrange(images_BCHW)
    named = {n: p for n, p in learner.model.named_parameters() if p.requires_grad}

    with preserve_state(learner.model, learner.loss):
        exact = _differentiate(learner, images_BCHW, targets, list(named.values()))
    with preserve_state(learner.model, learner.loss), learner.device.autocast():
        rough = _differentiate(learner, images_BCHW, targets, list(named.values()))
    rows = [
        (name, _length(a), _length(b))
        for name, a, b in zip(named, exact, rough, strict=True)
        if a is not None and b is not None
    ]
    if not rows:
        return None
    name, whole, half = max(rows, key=lambda row: _excess(row[1], row[2]))
    total = math.hypot(*(row[1] for row in rows))
    return {"parameter": name, "total": total, "fp32": whole, learner.device.precision: half}


def _differentiate(
    learner: Learner, images_BCHW: Tensor, targets: Tensor, parameters: list[Tensor]
) -> list[Tensor | None]:
    """With the generators as they stand: both passes drop the same units."""
    learner.train_mode()
    with torch.enable_grad():
        loss: Tensor = learner.loss(learner.model(images_BCHW), targets)
        if not loss.requires_grad or not parameters:
            return [None] * len(parameters)
        return list(torch.autograd.grad(loss, parameters, allow_unused=True))


def _length(gradient: Tensor) -> float:
    return float(gradient.double().norm())


def _excess(whole: float, half: float) -> float:
    """By how much too long; a NaN is the worst."""
    return math.inf if math.isnan(half) else half - whole
