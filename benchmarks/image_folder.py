"""An epoch of resnet18 and of a small net on images: expkit, a bare loop, and the usual one.

Command         python benchmarks/image_folder.py [--root FOLDER] [--model NAME] [--repeats N]
                [--report]
                (without --root, 800 images of 128 x 128 are made: blobs on black, in two classes)
Compares        expkit's `train_epochs` on `image_folder` with (1) a loop written by hand on the
                same bytes, resident, channels last, bf16 where the hardware has it, fused Adam; and
                (2) ImageFolder, DataLoader with 2 workers, fp32, NCHW, Adam, in a process of its
                own. Once with timm's resnet18 on 128 x 128, once with larger_backbone on 64 x 64,
                both in batches of 32. Pairs run in turns; a figure is the median of the ratios
Figures         resnet18: at most 1.03 x the bare loop's seconds, at least 2.3 x faster than the
                usual one; the small net: at least 5 x faster than the usual one; images that
                were decoded before are read again in 1 s at most
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path

import numpy as np
from bounds import Bounds, inform, say_load
from loops import time_in_turns, train_barely, train_by_expkit
from PIL import Image
from usual_loop import make_model, train_as_usual

from expkit.data.datasets.image_folder import ImageFolder
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.training.device import Device, DeviceChoice

# name, size, how much faster than the usual loop, how much slower than the bare one at most
NETS = (("resnet18", 128, 2.3, 1.03), ("larger_backbone", 64, 5.0, None))
NUM_MADE, SIDE, BATCH_SIZE = 800, 128, 32


def make_images(root: Path) -> None:
    """Blobs of noise on black, about as long to decode as photographs of single things."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    for number in range(NUM_MADE):
        radius = rng.uniform(20, 45)
        blob = (rows**2 + columns**2 < radius**2)[..., None]
        image = (blob * rng.integers(60, 255, (SIDE, SIDE, 3))).astype(np.uint8)
        folder = root / "train" / ("even", "odd")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:04d}.png")
    for name in ("even", "odd"):  # something is held out, and plays no part
        folder = root / "val" / name
        folder.mkdir(parents=True)
        Image.fromarray(image).save(folder / "0.png")


def compare(
    bounds: Bounds,
    name: str,
    root: Path,
    dataset: Dataset,
    device: Device,
    *,
    size: int,
    repeats: int,
    least: float,
    bare_bound: float | None,
) -> None:
    expkit = train_by_expkit(make_model(name, 2), dataset, device, BATCH_SIZE)
    bare = train_barely(make_model(name, 2), dataset, device, BATCH_SIZE)
    rounds = time_in_turns(expkit, bare, repeats)
    inform(f"epoch of {name} by expkit", [ours for ours, _ in rounds], "s")
    ratios = [ours / other for ours, other in rounds]
    if bare_bound is None:
        inform(f"{name}: expkit / bare loop", ratios, "x")
    else:
        bounds.hold(f"{name}: expkit / bare loop", ratios, "x", bound=bare_bound)
    images = dataset.splits["train"].images[::10] / 255
    usual = train_as_usual(
        name,
        2,
        root / "train",
        batch_size=BATCH_SIZE,
        mean=images.mean((0, 1, 2)).tolist(),
        spread=images.std((0, 1, 2)).clip(1e-3).tolist(),
        size=size,
    )
    rounds = time_in_turns(expkit, usual, max(3, repeats // 2))
    inform(f"epoch of {name} by the usual loop", [theirs for _, theirs in rounds], "s")
    faster = [theirs / ours for ours, theirs in rounds]
    bounds.hold(f"{name}: usual loop / expkit", faster, "x", bound=least, least=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, help="train/CLASS/*; made where not given")
    parser.add_argument("--model", choices=[name for name, *_ in NETS], help="one of them alone")
    parser.add_argument("--repeats", type=int, default=7, help="default 7")
    parser.add_argument("--report", action="store_true", help="print only; a miss is no failure")
    arguments = parser.parse_args()
    bounds = Bounds(is_report=arguments.report)
    say_load()
    gc.disable()
    device = DeviceChoice().open()
    print(device.reason)
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root or Path(folder) / "images"
        if arguments.root is None:
            make_images(root)
        cache = str(Path(folder) / "cache")
        for name, size, least, bare_bound in NETS:
            if arguments.model not in (None, name):
                continue
            source = ImageFolder(root=str(root), size=size, cache_dir=cache)
            source.read(silent)
            started = time.perf_counter()
            dataset = source.read(silent)
            seconds = time.perf_counter() - started
            bounds.hold(f"{name}: images read again, from the cache", [seconds], "s", bound=1)
            compare(
                bounds,
                name,
                root,
                dataset,
                device,
                size=size,
                repeats=arguments.repeats,
                least=least,
                bare_bound=bare_bound,
            )
    bounds.finish()


if __name__ == "__main__":
    main()
