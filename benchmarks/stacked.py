"""Eight seeds trained as one against the same eight one after another, in this process.

Command         python benchmarks/stacked.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it)
Compares        an epoch of eight nets by `train_side_by_side` with eight epochs by `train_epoch`,
                one after another: data, metrics, signals and optimizer included; no files. Pairs
                run in turns, the first changing from round to round; a figure is the median of the
                rounds' ratios. On a CPU, nets on digits, where `launcher=stacked` stacks; and
                larger_backbone on the puzzle, where it does not, as the figure tells (there the
                epochs go one after another as they would alone)
Figures         where it stacks: on a CPU at least 1.0 x as fast, on a GPU at least 4 x (said as not
                measured where there is none)
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from bounds import Bounds, inform, parse_arguments, say_load
from loops import time_in_turns
from torch import nn

from expkit.data.datasets.digits import Digits
from expkit.data.datasets.puzzle import Puzzle
from expkit.data.store.progress import silent
from expkit.data.store.samples import DatasetSource
from expkit.data.store.split import Split, place_splits
from expkit.models.conv import ConvNet
from expkit.optim.schedule import Constant
from expkit.sweeps.stacked_seeds.joint_epoch import pays, train_side_by_side
from expkit.sweeps.stacked_seeds.stacked_learner import Stack
from expkit.training.device import Device, DeviceChoice, available_devices
from expkit.training.learner import Learner
from expkit.training.loop import EpochPlan, train_epoch

NUM_SEEDS = 8
MAX_EPOCHS = 10_000  # more than are ever asked for


@dataclass(frozen=True)
class Case:
    """A net, its data and its batches."""

    name: str
    source: DatasetSource
    widths: Sequence[int]
    batch_size: int
    precision: str = "auto"


CASES = (
    Case("16-32-64, digits, fp32", Digits(), (16, 32, 64), 32, "fp32"),
    Case("16-32-64-64, digits, fp32", Digits(), (16, 32, 64, 64), 32, "fp32"),
    Case("larger_backbone, puzzle", Puzzle(), (32, 64, 128, 256), 128),
)


def make_learners(case: Case, split: Split, device: Device) -> list[Learner]:
    height, width, channels = split.images_NHWC.shape[1:]
    learners = []
    for seed in range(NUM_SEEDS):
        torch.manual_seed(seed)
        shape, num_classes = (channels, height, width), len(split.class_names or ())
        net = device.place(ConvNet(case.widths, image_shape=shape, num_outputs=num_classes))
        adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        scale = Constant().scale
        learners.append(Learner(net, adam, nn.CrossEntropyLoss(), device, scale=scale))
    return learners


def train_one_by_one(learners: list[Learner], lessons: list[EpochPlan]) -> Iterator[object]:
    for number in range(1, MAX_EPOCHS):
        yield [train_epoch(*both, number) for both in zip(learners, lessons, strict=True)]


def train_as_one(stack: Stack, lessons: list[EpochPlan]) -> Iterator[object]:
    for number in range(1, MAX_EPOCHS):
        yield train_side_by_side(stack, lessons, number)


def compare(case: Case, name: str, repeats: int, bounds: Bounds, bound: float) -> None:
    device = DeviceChoice(name=name, precision=case.precision).open()  # type: ignore[arg-type]
    split = place_splits(case.source.read(silent), device.torch_device)["train"]
    lessons = [EpochPlan(split, case.batch_size, MAX_EPOCHS, seed) for seed in range(NUM_SEEDS)]
    learners = make_learners(case, split, device)
    as_one = train_as_one(Stack(make_learners(case, split, device)), lessons)
    is_stacked = pays(learners[0], lessons[0])
    rounds = time_in_turns(
        as_one, train_one_by_one(learners, lessons), repeats if is_stacked else 2
    )
    ratios = [alone / stacked for stacked, alone in rounds]
    what = f"{case.name} ({name}, {device.precision})"
    if is_stacked:
        bounds.hold(what, ratios, "x", bound=bound, least=True)
    else:
        inform(f"{what}: not stacked", ratios, "x")


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=9)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    gc.disable()
    for case in CASES:
        compare(case, "cpu", arguments.repeats, bounds, bound=1.0)
    if "cuda" in available_devices():
        for case in CASES:
            compare(case, "cuda", arguments.repeats, bounds, bound=4.0)
    else:
        print("     on a GPU: not measured, for there is none here (to reach: 4 x)", flush=True)
    bounds.finish()


if __name__ == "__main__":
    main()
