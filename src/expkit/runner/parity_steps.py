"""A run's first steps, taken on the processor in fp32 and on the run's own device."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch

from expkit.errors import UserError
from expkit.probes.parity_steps import Batch, Parity, compare_devices
from expkit.runner.components import Parts
from expkit.runner.stages.training import Training
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.seeding import seed_everything, seed_for

MAX_BATCH = 32  # samples: enough to see a difference, and every layer's outputs fit into memory


def compare_run(parts: Parts, num_steps: int) -> Parity:
    """The first steps of the first stage that trains."""
    device = parts.uncompiled  # a compiled net has no layers to look into
    if device.torch_device.type == "cpu" and device.precision == "fp32":
        raise UserError(
            "there is nothing to compare: the device asked for is the processor in fp32, too",
            where=f"device: {device.reason}",
            fix="expkit parity ... device=cuda   (or device=mps, or device.precision=bf16)",
        )
    name, stage = _first_training(parts)
    seed = seed_for(parts.seed, name)
    make = functools.partial(_make_learner, parts, name, stage, seed)
    batches = spread_batches(parts, min(stage.batch_size, MAX_BATCH), num_steps)
    return compare_devices(make, device, batches, seed)


def _first_training(parts: Parts) -> tuple[str, Training]:
    for name, stage in parts.stages.items():
        if isinstance(stage, Training):
            return name, stage
    raise UserError(
        "the procedure has no stage that trains",
        where=f"procedure: {', '.join(parts.stages)}",
        fix="expkit parity ... procedure=full",
    )


def _make_learner(parts: Parts, name: str, stage: Training, seed: int, device: Device) -> Learner:
    """The stage's learner on one of the devices, the same weights on each."""
    counts = parts.metadata.splits["train"].class_counts
    parts = parts.of_stage(name)
    loss = parts.inputs.loss.build(counts).to(device.torch_device)
    seed_everything(seed, "model")
    model = device.place(parts.make_model())
    here = replace(parts, device=device, loss=loss)
    return stage.new_learner(here, model, f"procedure.{name}", [])


def spread_batches(parts: Parts, size: int, num_batches: int) -> list[Batch]:
    """Batches of samples spread over the training split: sorted by class, each still has all."""
    split = parts.splits["train"]
    few = split.spread_out(size * num_batches)
    batches = []
    for number in range(num_batches):
        chosen = torch.arange(number, len(few), num_batches)
        chosen = chosen if len(chosen) > 1 else torch.arange(len(few))  # batch norm needs two
        batches.append(next(few.select(chosen).batches(len(chosen))))
    return batches
