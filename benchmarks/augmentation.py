"""What augmentation adds to an epoch: resnet18 on batches as of log 4, with and without `cherry`.

Command         python benchmarks/augmentation.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it, as for epoch.py)
Compares        a training step of timm's resnet18 by expkit's `Learner` on 32 images of
                128 x 128, gathered as bytes, in the device's precision, Adam fused, two classes:
                with augment=cherry and with augment=none. A round is a step of each, the first of
                the two changing; a ratio is of the medians of five rounds in a row
Figures         at most 1.25 x the seconds without
"""

from __future__ import annotations

import gc
import statistics
import time
from typing import Any

import timm
import torch
from bounds import Bounds, inform, parse_arguments, say_load
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn

from expkit.augment.pipeline import Augmentation
from expkit.config.instantiate import build_part
from expkit.config.paths import builtin_conf
from expkit.training.device import Device, DeviceChoice
from expkit.training.learner import Learner

BATCH_SIZE, SIDE, NUM_PICTURES = 32, 128, 512
NUM_WARMUPS, ROUNDS_PER_FIGURE = 4, 5


def build_augmentation(name: str) -> Augmentation:
    with initialize_config_dir(str(builtin_conf().resolve()), version_base="1.3"):
        composed = compose("config", overrides=[f"augment={name}"]).augment
    node: Any = OmegaConf.to_container(composed)
    augmentation: Augmentation = build_part(node, "augment")
    augmentation.check((3, SIDE, SIDE))
    return augmentation


def make_learner(device: Device) -> Learner:
    torch.manual_seed(0)
    model = device.place(timm.create_model("resnet18", num_classes=2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    learner = Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=lambda *_: 1.0)
    learner.train_mode()
    return learner


def time_step(learner: Learner, augmentation: Augmentation, images_NHWC: Tensor) -> float:
    """Seconds from the bytes to the updated weights."""
    on = images_NHWC.device
    targets = torch.arange(BATCH_SIZE, device=on) % 2
    chosen = torch.randint(len(images_NHWC), (BATCH_SIZE,)).to(on)
    started = time.perf_counter()
    images_BCHW = (images_NHWC.index_select(0, chosen).float() / 255).permute(0, 3, 1, 2)
    loss, _ = learner.forward_backward(augmentation(images_BCHW), targets)
    learner.step()
    loss.item()  # waits for a GPU
    return time.perf_counter() - started


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=9)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    device = DeviceChoice().open()
    print(device.reason)
    learner = make_learner(device)
    augmentations = [build_augmentation(name) for name in ("none", "cherry")]
    images_NHWC = torch.randint(0, 256, (NUM_PICTURES, SIDE, SIDE, 3), dtype=torch.uint8)
    images_NHWC = images_NHWC.to(device.torch_device)

    seconds: list[list[float]] = [[], []]  # without, with
    gc.disable()
    for number in range(NUM_WARMUPS + arguments.repeats * ROUNDS_PER_FIGURE):
        for which in (0, 1) if number % 2 else (1, 0):
            taken = time_step(learner, augmentations[which], images_NHWC)
            if number >= NUM_WARMUPS:
                seconds[which].append(taken)

    plain, augmented = (
        [
            statistics.median(times[start : start + ROUNDS_PER_FIGURE])
            for start in range(0, len(times), ROUNDS_PER_FIGURE)
        ]
        for times in seconds
    )
    inform("batch of resnet18", plain, "s")
    inform("batch of resnet18, augment=cherry", augmented, "s")
    ratios = [both / alone for both, alone in zip(augmented, plain, strict=True)]
    bounds.hold("with augment=cherry / without", ratios, "x", bound=1.25)
    bounds.finish()


if __name__ == "__main__":
    main()
