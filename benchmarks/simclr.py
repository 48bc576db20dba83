"""What expkit adds to an epoch of SimCLR: its stage against a bare loop over two views.

Command         python benchmarks/simclr.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it, as for epoch.py)
Compares        an epoch of larger_backbone without its classifier on 1,024 images of 64 x 64,
                resident as bytes, batches of 128, the views of augment=simclr, two layers of
                projection, NT-Xent at 0.1, Adam fused, in the device's precision: by
                `contrastive_epoch`, and written by hand on the same tensors. A round is an epoch
                of each, the first of the two changing; a ratio is of one round
Figures         at most 1.1 x the seconds of the bare loop
"""

from __future__ import annotations

import gc
import time
from typing import Any

import torch
from augmentation import build_augmentation
from bounds import Bounds, inform, parse_arguments, say_load
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from expkit.augment.pipeline import Augmentation
from expkit.data.store.normalizer import fit_normalizer
from expkit.data.store.split import Split
from expkit.models.conv import ConvNet
from expkit.training.contrastive import ContrastiveModel, contrastive_epoch, projection_head
from expkit.training.device import Device, DeviceChoice
from expkit.training.learner import Learner
from expkit.training.loop import EpochPlan

BATCH_SIZE, SIDE, NUM_PICTURES, NUM_FEATURES, TEMPERATURE = 128, 64, 1024, 256, 0.1
WIDTHS = (32, 64, 128, NUM_FEATURES)
LR = 1e-3


def make_split(device: Device) -> Split:
    draws = torch.Generator().manual_seed(0)
    shape = (NUM_PICTURES, SIDE, SIDE, 3)
    images = torch.randint(0, 256, shape, generator=draws, dtype=torch.uint8)
    normalizer = fit_normalizer(images, "dataset").to(device.torch_device)
    images = images.to(device.torch_device)
    targets = torch.arange(NUM_PICTURES, device=images.device) % 2
    names = [str(number) for number in range(NUM_PICTURES)]
    return Split("train", images, targets, names, ["a", "b"], normalizer)


def make_learner(device: Device) -> Learner:
    torch.manual_seed(0)
    net = ConvNet(WIDTHS, image_shape=(3, SIDE, SIDE), num_outputs=2)
    heads = {"views": projection_head(NUM_FEATURES, NUM_FEATURES, 128)}
    model = device.place(ContrastiveModel(net, heads, "benchmark"))
    optimizer = torch.optim.Adam(model.parameters(), lr=LR, fused=True)
    return Learner(model, optimizer, nn.Identity(), device, scale=lambda *_: 1.0)


class BareLoop:
    """Two views, one pass, one loss: what a reader of the paper would write on resident images."""

    def __init__(self, split: Split, augment: Augmentation, device: Device) -> None:
        torch.manual_seed(0)
        net = ConvNet(WIDTHS, image_shape=(3, SIDE, SIDE), num_outputs=2).backbone
        head = projection_head(NUM_FEATURES, NUM_FEATURES, 128)
        self.model = device.place(nn.Sequential(net, head))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LR, fused=True)
        self.split, self.augment, self.device = split, augment, device

    def run_epoch(self) -> float:
        self.model.train()
        images_NHWC: Any = self.split.images_NHWC
        total = torch.zeros((), device=images_NHWC.device)
        order = torch.randperm(len(images_NHWC)).to(images_NHWC.device)
        for chosen in order.split(BATCH_SIZE):
            images = images_NHWC.index_select(0, chosen).float().div_(255).permute(0, 3, 1, 2)
            views = self.augment(torch.cat([images, images])).permute(0, 2, 3, 1) * 255
            views_BCHW = self.split.normalizer(views).permute(0, 3, 1, 2)
            with self.device.autocast():
                embeddings = self.model(self.device.arrange(views_BCHW))
            loss = two_view_loss(embeddings.float())
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            total += loss.detach()
        return float(total)


def two_view_loss(embeddings: Tensor) -> Tensor:
    units = normalize(embeddings, dim=1)
    logits = units @ units.T / TEMPERATURE
    logits.fill_diagonal_(-torch.inf)
    count = len(units)
    return cross_entropy(logits, torch.arange(count, device=units.device).roll(count // 2))


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=7)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    device = DeviceChoice().open()
    print(device.reason)
    split, augment, learner = make_split(device), build_augmentation("simclr"), make_learner(device)
    bare = BareLoop(split, augment, device)
    plan = EpochPlan(split, BATCH_SIZE, 10_000, seed=0)
    number = 0

    def ours() -> object:
        nonlocal number
        number += 1
        return contrastive_epoch(learner, plan, {"views": augment}, TEMPERATURE, number)

    seconds: list[list[float]] = [[], []]  # bare, ours
    gc.disable()
    for turn in range(1 + arguments.repeats):
        for which in (0, 1) if turn % 2 else (1, 0):
            started = time.perf_counter()
            (bare.run_epoch, ours)[which]()  # both end by reading the loss
            if turn:
                seconds[which].append(time.perf_counter() - started)
    inform("epoch of a bare two-view loop", seconds[0], "s")
    inform("epoch of stage=simclr", seconds[1], "s")
    ratios = [mine / theirs for theirs, mine in zip(*seconds, strict=True)]
    bounds.hold("stage=simclr / bare two-view loop", ratios, "x", bound=1.1)
    bounds.finish()


if __name__ == "__main__":
    main()
