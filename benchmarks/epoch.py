"""An epoch of larger_backbone on the puzzle: expkit's loop, a bare one, and the usual one.

Command         python benchmarks/epoch.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it: threads that wait for each other
                while others hold the cores make an epoch ten times longer, and no two alike)
Compares        expkit's `train_epochs` with (1) a loop written by hand for this one case: the same
                model, batches of 128, uint8 pictures resident on the device, channels last, bf16
                where the hardware has it, fused Adam; and (2) what most projects do: the same 950
                pieces as PNG files, ImageFolder, DataLoader with 2 workers, fp32, NCHW, Adam.
                Pairs run in turns in one process, the first of each changing from round to round;
                a figure is the median of the rounds' ratios
Figures         at most 1.03 x the bare loop's seconds; at least 4 x faster than the usual loop
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from bounds import Bounds, inform, parse_arguments, say_load
from torch import nn
from torch.nn.functional import cross_entropy
from usual_loop import train_as_usual, write_pieces

from expkit.data.puzzle import Puzzle
from expkit.data.samples import Dataset, silent
from expkit.data.split import place_splits
from expkit.engine.device import Device, DeviceChoice
from expkit.engine.loop import Learner, train_epochs
from expkit.models.conv import ConvNet
from expkit.optim.schedule import Constant

BATCH_SIZE, NUM_CLASSES, RATE = 128, 950, 1e-3
MAX_EPOCHS = 10_000  # more than are ever asked for
NUM_WARMUPS = 2


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return ConvNet((32, 64, 128, 256), image_shape=(3, 64, 64), num_outputs=NUM_CLASSES)


def train_by_expkit(dataset: Dataset, device: Device) -> Iterator[object]:
    """An epoch at each `next`, as in all three."""
    model = device.place(make_model())
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    scale = Constant().scale
    learner = Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=scale)
    split = place_splits(dataset, device.torch_device)["train"]
    return train_epochs(learner, split, batch_size=BATCH_SIZE, max_epochs=MAX_EPOCHS, seed=0)


def train_barely(dataset: Dataset, device: Device) -> Iterator[object]:
    """Nothing that these samples and this model do not need."""
    on = device.torch_device
    model = make_model().to(on, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    images_NHWC = torch.from_numpy(dataset.splits["train"].images).to(on)
    targets = torch.from_numpy(dataset.splits["train"].targets).to(on)
    spread_C, mean_C = torch.std_mean(images_NHWC.float(), dim=(0, 1, 2))
    # by rows of pixels: subtracting 3 numbers from N x 3 ones has no fast loop on a CPU
    width = images_NHWC.shape[2]
    scale_WC, shift_WC = spread_C.reciprocal().repeat(width), mean_C.repeat(width)
    while True:
        loss_sum, num_right = torch.zeros((), device=on), torch.zeros((), device=on)
        for chosen in torch.randperm(len(images_NHWC)).to(on).split(BATCH_SIZE):
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


def main() -> None:
    arguments = parse_arguments(__doc__, repeats=41)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    gc.disable()
    device = DeviceChoice().open()
    print(device.reason)
    dataset = Puzzle().read(silent)
    expkit = train_by_expkit(dataset, device)

    rounds = time_in_turns(expkit, train_barely(dataset, device), arguments.repeats)
    inform("epoch by expkit", [ours for ours, _ in rounds], "s")
    inform("epoch of the bare loop", [bare for _, bare in rounds], "s")
    bounds.hold("expkit / bare loop", [ours / bare for ours, bare in rounds], "x", bound=1.03)

    with tempfile.TemporaryDirectory() as folder:
        write_pieces(dataset.splits["train"], Path(folder))
        images = dataset.splits["train"].images / 255
        usual_loop = train_as_usual(
            make_model(),
            Path(folder),
            device.torch_device,
            batch_size=BATCH_SIZE,
            lr=RATE,
            mean=images.mean((0, 1, 2)).tolist(),
            spread=images.std((0, 1, 2)).tolist(),
        )
        rounds = time_in_turns(expkit, usual_loop, max(3, arguments.repeats // 4))
    inform("epoch of the usual loop", [usual for _, usual in rounds], "s")
    faster = [usual / ours for ours, usual in rounds]
    bounds.hold("usual loop / expkit", faster, "x", bound=4, least=True)
    bounds.finish()


if __name__ == "__main__":
    main()
