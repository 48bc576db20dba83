"""100,000 pictures that are larger than their share of the memory: what mapping them costs.

Command         python benchmarks/mapped.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it)
Compares        epochs of simple_conv over the same pictures of 64 x 64, mapped and resident, in
                turns in one process, the first of each changing from round to round; and the most
                memory that a process holds which trains on the mapped ones, above what it holds
                after an epoch over 1,000 resident ones
Figures         at most 500 MB above the base process; at least 0.9 x the resident speed
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bounds import Bounds, inform, parse_arguments, say_load
from PIL import Image
from torch import nn

from expkit.data.image_folder import ImageFolder
from expkit.data.samples import Dataset, silent
from expkit.data.split import place_splits
from expkit.engine.device import Device, DeviceChoice
from expkit.engine.loop import Learner, train_epochs
from expkit.models.conv import ConvNet
from expkit.optim.schedule import Constant

NUM_PICTURES, NUM_CLASSES, SIZE = 100_000, 10, 64
NUM_BASE = 1_000  # pictures that the base process has seen
BATCH_SIZE, RATE = 128, 1e-3
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def write_pictures(root: Path) -> None:
    """Noise in BMP files, whose bytes are those of the first but for the pixels."""
    rng = np.random.default_rng(0)
    root.mkdir()
    first = root / "first.bmp"
    Image.new("RGB", (SIZE, SIZE)).save(first)
    num_pixel_bytes = 3 * SIZE * SIZE
    header = first.read_bytes()[:-num_pixel_bytes]
    first.unlink()
    for name in range(NUM_CLASSES):
        folder = root / "train" / f"class_{name}"
        folder.mkdir(parents=True)
        for number in range(NUM_PICTURES // NUM_CLASSES):
            (folder / f"{number:05}.bmp").write_bytes(header + rng.bytes(num_pixel_bytes))


def read(root: Path, memory_fraction: float, *, limit: int | None = None) -> Dataset:
    source = ImageFolder(
        root=str(root / "pictures"),
        cache_dir=str(root / "cache"),
        memory_fraction=memory_fraction,
        val_fraction=0,
        test_fraction=0,
        limit=limit,
    )
    return source.read(silent)


def train(dataset: Dataset, device: Device) -> Iterator[object]:
    """An epoch at each `next`."""
    torch.manual_seed(0)
    net = ConvNet((16, 32, 64), image_shape=(3, SIZE, SIZE), num_outputs=NUM_CLASSES)
    model = device.place(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    learner = Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=Constant().scale)
    split = place_splits(dataset, device.torch_device)["train"]
    return train_epochs(learner, split, batch_size=BATCH_SIZE, max_epochs=1000, seed=0)


def count_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT


def print_memory(root: Path) -> None:
    """Bytes above the base process, after an epoch over the mapped pictures."""
    device = DeviceChoice().open()
    few = read(root, 0.0, limit=NUM_BASE // NUM_CLASSES)
    samples = few.splits["train"]
    resident = replace(samples, images=np.array(samples.images[samples.rows]), rows=None)
    next(train(replace(few, splits={"train": resident}), device))
    base = count_peak_bytes()
    next(train(read(root, 0.0), device))
    print(json.dumps(count_peak_bytes() - base))


def time_in_turns(root: Path, repeats: int) -> list[tuple[float, float]]:
    """Seconds of an epoch over the mapped and over the resident pictures, by rounds."""
    device = DeviceChoice().open()
    mapped, resident = (train(read(root, fraction), device) for fraction in (0.0, 1.0))
    rounds = []
    for number in range(repeats):
        seconds = {}
        for loop in (mapped, resident) if number % 2 else (resident, mapped):
            started = time.perf_counter()
            next(loop)
            seconds[loop] = time.perf_counter() - started
        rounds.append((seconds[mapped], seconds[resident]))
    return rounds


def main() -> None:
    if sys.argv[1:2] == ["--memory-of"]:
        print_memory(Path(sys.argv[2]))
        return
    arguments = parse_arguments(__doc__, repeats=5)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pictures(root / "pictures")
        for name in ("first start: decoded and cached", "second start"):
            started = time.perf_counter()
            read(root, 0.0)
            inform(name, [time.perf_counter() - started], "s")
        command = [sys.executable, __file__, "--memory-of", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        memory = json.loads(done.stdout) / 1e6
        bounds.hold("memory above the base process", [memory], "MB", bound=500)
        rounds = time_in_turns(root, arguments.repeats)
    inform("epoch over mapped pictures", [mapped for mapped, _ in rounds], "s")
    inform("epoch over resident pictures", [resident for _, resident in rounds], "s")
    speeds = [resident / mapped for mapped, resident in rounds]
    bounds.hold("speed, mapped / resident", speeds, "x", bound=0.9, least=True)
    bounds.finish()


if __name__ == "__main__":
    main()
