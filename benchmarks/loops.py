"""The loops that are compared: expkit's own, and one that does nothing else than it must."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from expkit.data.store.samples import Dataset
from expkit.data.store.split import place_splits
from expkit.optim.schedule import Constant
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.loop import EpochPlan, train_epochs

RATE = 1e-3
MAX_EPOCHS = 10_000  # more than are ever asked for
NUM_WARMUPS = 2


def train_by_expkit(
    model: nn.Module, dataset: Dataset, device: Device, batch_size: int
) -> Iterator[object]:
    """An epoch at each `next`, as in all of them."""
    model = device.place(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    scale = Constant().scale
    learner = Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=scale)
    split = place_splits(dataset, device.torch_device)["train"]
    return train_epochs(
        learner, EpochPlan(split, batch_size=batch_size, max_epochs=MAX_EPOCHS, seed=0)
    )


def train_barely(
    model: nn.Module, dataset: Dataset, device: Device, batch_size: int
) -> Iterator[object]:
    """Nothing that these samples and this model do not need."""
    on = device.torch_device
    model = model.to(on, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    images_NHWC = torch.from_numpy(dataset.splits["train"].images).to(on)
    targets = torch.from_numpy(dataset.splits["train"].targets).to(on)
    std_C, mean_C = torch.std_mean(images_NHWC.float(), dim=(0, 1, 2))
    # by rows of pixels: subtracting 3 numbers from N x 3 ones has no fast loop on a CPU
    width = images_NHWC.shape[2]
    scale_WC, shift_WC = std_C.clamp_min(1).reciprocal().repeat(width), mean_C.repeat(width)
    while True:
        loss_sum, num_right = torch.zeros((), device=on), torch.zeros((), device=on)
        for chosen in torch.randperm(len(images_NHWC)).to(on).split(batch_size):
            pieces_BHWC = images_NHWC[chosen]
            rows = (pieces_BHWC.flatten(2) - shift_WC) * scale_WC
            images_BCHW, wanted = rows.view(pieces_BHWC.shape).permute(0, 3, 1, 2), targets[chosen]
            with torch.autocast(on.type, torch.bfloat16, enabled=device.precision == "bf16"):
                outputs = model(images_BCHW)
                loss = cross_entropy(outputs, wanted)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss_sum += loss.detach() * len(chosen)
            num_right += (outputs.detach().argmax(1) == wanted).sum()
        yield loss_sum.item(), num_right.item()


def time_in_turns(
    first: Iterator[object], second: Iterator[object], repeats: int
) -> list[tuple[float, float]]:
    """Seconds of an epoch of each, by rounds."""
    rounds = []
    for number in range(-NUM_WARMUPS, repeats):
        seconds = {}
        for loop in (first, second) if number % 2 else (second, first):
            gc.collect()
            started = time.perf_counter()
            next(loop)
            seconds[loop] = time.perf_counter() - started
        if number >= 0:
            rounds.append((seconds[first], seconds[second]))
    return rounds
