"""100,000 images that are larger than their share of the memory: what mapping them costs.

Command         python benchmarks/mapped.py [--repeats N] [--report]
                (on a busy machine OMP_NUM_THREADS=1 before it)
Compares        an epoch of simple_conv over the same images of 64 x 64, mapped and resident, in
                turns of ten steps in one process, the first of each changing from turn to turn; a
                figure is the median of the turns' ratios; and the most memory that a process holds
                which trains on the mapped ones, above what it holds after 1,000 resident ones
Figures         at most 500 MB above the base process; at least 0.9 x the resident speed
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from bounds import Bounds, inform, parse_arguments, say_load
from PIL import Image
from torch import nn

from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.data.store.split import place_splits
from expkit.models.conv import ConvNet
from expkit.optim.schedule import Constant
from expkit.training.device import Device, DeviceChoice
from expkit.training.learner import Learner

NUM_PICTURES, NUM_CLASSES, SIZE = 100_000, 10, 64
NUM_BASE = 1_000  # images that the base process has seen
BATCH_SIZE, RATE = 128, 1e-3
NUM_STEPS = 10  # of a turn
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def write_images(root: Path) -> None:
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
        root=str(root / "images"),
        cache_dir=str(root / "cache"),
        memory_fraction=memory_fraction,
        val_fraction=0,
        test_fraction=0,
        limit=limit,
    )
    return source.read(silent)


def train(dataset: Dataset, device: Device) -> Iterator[object]:
    """NUM_STEPS of an epoch at each `next`; the last of an epoch may have fewer."""
    torch.manual_seed(0)
    net = ConvNet((16, 32, 64), image_shape=(3, SIZE, SIZE), num_outputs=NUM_CLASSES)
    model = device.place(net)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    learner = Learner(model, optimizer, nn.CrossEntropyLoss(), device, scale=Constant().scale)
    split = place_splits(dataset, device.torch_device)["train"]
    draws = torch.Generator().manual_seed(0)
    for step, batch in enumerate(split.batches(BATCH_SIZE, shuffle=True, generator=draws), 1):
        learner.step(*batch)
        if step % NUM_STEPS == 0:
            yield step


def count_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT


def print_memory(root: Path) -> None:
    """Bytes above the base process, after an epoch over the mapped images."""
    device = DeviceChoice().open()
    few = read(root, 0.0, limit=NUM_BASE // NUM_CLASSES)
    samples = few.splits["train"]
    resident = replace(samples, images=np.array(samples.images[samples.rows]), rows=None)
    deque(train(replace(few, splits={"train": resident}), device), maxlen=0)
    base = count_peak_bytes()
    deque(train(read(root, 0.0), device), maxlen=0)
    print(json.dumps(count_peak_bytes() - base))


def time_in_turns(root: Path) -> list[tuple[float, float]]:
    """Seconds of some steps over the mapped and over the resident images, by rounds."""
    device = DeviceChoice().open()
    mapped, resident = (train(read(root, fraction), device) for fraction in (0.0, 1.0))
    rounds = []
    for number in range(NUM_PICTURES // BATCH_SIZE // NUM_STEPS):
        seconds = {}
        for loop in (mapped, resident) if number % 2 else (resident, mapped):
            started = time.perf_counter()
            next(loop)
            seconds[loop] = time.perf_counter() - started
        rounds.append((seconds[mapped], seconds[resident]))
    return rounds[1:]  # the first is longer: it makes the optimizer's state


def main() -> None:
    if sys.argv[1:2] == ["--memory-of"]:
        print_memory(Path(sys.argv[2]))
        return
    arguments = parse_arguments(__doc__, repeats=1)
    bounds = Bounds(is_report=arguments.report)
    say_load()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_images(root / "images")
        for name in ("first start: decoded and cached", "second start"):
            started = time.perf_counter()
            read(root, 0.0)
            inform(name, [time.perf_counter() - started], "s")
        command = [sys.executable, __file__, "--memory-of", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        memory = json.loads(done.stdout) / 1e6
        bounds.hold("memory above the base process", [memory], "MB", bound=500)
        rounds = [each for _ in range(arguments.repeats) for each in time_in_turns(root)]
    inform(f"{NUM_STEPS} steps over mapped images", [mapped for mapped, _ in rounds], "s")
    inform(f"{NUM_STEPS} steps over resident images", [resident for _, resident in rounds], "s")
    speeds = [resident / mapped for mapped, resident in rounds]
    bounds.hold("speed, mapped / resident", speeds, "x", bound=0.9, least=True)
    bounds.finish()


if __name__ == "__main__":
    main()
