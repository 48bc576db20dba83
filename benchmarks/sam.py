"""What the second pass of sam costs: resnet18 on batches as of log 4, with and without.

Command         python benchmarks/sam.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it, as for epoch.py)
Compares        a training step of timm's resnet18 by expkit's `Learner` on 32 random images of
                128 x 128, in the device's precision, two classes: with optimizer=sam around Adam
                fused, and with Adam fused alone. A round is a step of each, the first of the two
                changing; a ratio is of the medians of five rounds in a row
Figures         at most 2.1 x the seconds of a plain step
"""

from __future__ import annotations

import gc
import statistics
import time
from functools import partial

import timm
import torch
from bounds import Bounds, inform, parse_arguments, say_load
from torch import Tensor, nn

from expkit.optim.sam import sam
from expkit.training.device import Device, DeviceChoice
from expkit.training.learner import Learner

BATCH_SIZE, SIDE = 32, 128
NUM_WARMUPS, ROUNDS_PER_FIGURE = 4, 5


def make_learner(device: Device, *, has_two_passes: bool) -> Learner:
    torch.manual_seed(0)
    model = device.place(timm.create_model("resnet18", num_classes=2))
    base = partial(torch.optim.Adam, fused=True)
    make = partial(sam, base=base) if has_two_passes else base
    optimizer = make(model.parameters(), lr=1e-3)
    learner = Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=lambda *_: 1.0)
    learner.train_mode()
    return learner


def time_step(learner: Learner, images_BCHW: Tensor, targets: Tensor) -> float:
    started = time.perf_counter()
    learner.forward_backward(images_BCHW, targets)
    learner.step()
    next(learner.model.parameters()).sum().item()  # waits for a GPU
    return time.perf_counter() - started


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=9)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    device = DeviceChoice().open()
    print(device.reason)
    learners = [make_learner(device, has_two_passes=each) for each in (False, True)]
    on = device.torch_device
    images_BCHW = torch.rand(BATCH_SIZE, SIDE, SIDE, 3, device=on).permute(0, 3, 1, 2)
    targets = torch.arange(BATCH_SIZE, device=on) % 2

    seconds: list[list[float]] = [[], []]  # plain, sam
    gc.disable()
    for number in range(NUM_WARMUPS + arguments.repeats * ROUNDS_PER_FIGURE):
        for which in (0, 1) if number % 2 else (1, 0):
            taken = time_step(learners[which], images_BCHW, targets)
            if number >= NUM_WARMUPS:
                seconds[which].append(taken)
    figures = [
        [
            statistics.median(each[start : start + ROUNDS_PER_FIGURE])
            for start in range(0, len(each), ROUNDS_PER_FIGURE)
        ]
        for each in seconds
    ]
    plain, sharp = figures
    inform("a plain step", [1000 * each for each in plain], "ms")
    inform("a step of sam", [1000 * each for each in sharp], "ms")
    ratios = [b / a for a, b in zip(plain, sharp, strict=True)]
    bounds.hold("sam beside a plain step", ratios, "x", bound=2.1)
    bounds.finish()


if __name__ == "__main__":
    main()
