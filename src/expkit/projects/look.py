"""A look at a user's images: their sizes and colours, then all of them as a run would read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expkit.data.audit.data_profile import profile_dataset
from expkit.data.audit.image_stats import spread_evenly
from expkit.data.store.decoding import Decoding, UnreadableImageError, without_remarks
from expkit.data.store.memory_limits import count_memory_bytes
from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset
from expkit.hardware import find_gpus, has_apple_gpu
from expkit.projects.image_source import ImageSource

MOST_OPENED = 1000  # files whose sizes are looked at, evenly spread
MOST_DECODED = 60  # of them that are looked at for colour
SIDES = (32, 48, 64, 96, 128, 160, 192, 224)  # pixels
LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 224
MOST_ELONGATED = 1.35  # 4 to 3, and a little more: of such an image a crop keeps what matters


@dataclass(frozen=True)
class Sizes:
    """The sizes of the files that were opened, and whether one of them has colour."""

    heights: Sequence[int]
    widths: Sequence[int]
    has_colour: bool

    @property
    def are_alike(self) -> bool:
        return len(set(zip(self.heights, self.widths, strict=True))) == 1

    def describe(self) -> str:
        """`64 x 64`, or `48 x 64 to 480 x 640` as height x width."""
        pairs = sorted(
            zip(self.heights, self.widths, strict=True), key=lambda pair: pair[0] * pair[1]
        )
        ends = [f"{height} x {width}" for height, width in (pairs[0], pairs[-1])]
        return ends[0] if self.are_alike else f"{ends[0]} to {ends[1]}"

    def choose(self, *, has_gpu: bool) -> dict[str, Any]:
        """The settings of a dataset that suit these files and this machine."""
        most = LARGEST_ON_GPU if has_gpu else LARGEST_ON_CPU
        short = np.minimum(self.heights, self.widths)
        long = np.maximum(self.heights, self.widths)
        size: int | list[int]
        if self.are_alike and long[0] <= most:
            size = [self.heights[0], self.widths[0]]
        else:
            limit = min(most, int(np.median(short)))
            size = max([side for side in SIDES if side <= limit], default=SIDES[0])
        crops = float(np.percentile(long / short, 90)) <= MOST_ELONGATED
        return {
            "size": size,
            "resize": "crop" if crops else "squash",
            "channels": 3 if self.has_colour else 1,
        }


@dataclass(frozen=True)
class Look:
    """What was seen."""

    source: ImageSource
    num_files: int
    sizes: Sizes
    settings: Mapping[str, Any]
    dataset: Dataset
    profile: Mapping[str, Any]
    has_gpu: bool

    @property
    def class_names(self) -> Sequence[str]:
        assert self.dataset.class_names is not None
        return self.dataset.class_names

    @property
    def num_read(self) -> int:
        return sum(len(samples) for samples in self.dataset.splits.values())

    @property
    def judged_split(self) -> str:
        """The split by which a run is judged: test, or val where there is no test."""
        return "test" if "test" in self.dataset.splits else "val"

    def counts(self, split: str) -> dict[str, int]:
        """The number of images of each class."""
        counts = self.dataset.class_counts(split)
        assert counts is not None
        return dict(zip(self.class_names, map(int, counts), strict=True))

    @property
    def num_bytes(self) -> int:
        """The size of all images in memory."""
        samples = self.dataset.splits["train"]
        return self.num_read * int(np.prod(samples.images.shape[1:]))

    @property
    def fits_memory(self) -> bool:
        """Tell whether the images stay in memory, and not in a file that is mapped."""
        return not self.dataset.splits["train"].is_mapped


def look_at(source: ImageSource, on_progress: ProgressCallback) -> Look:
    """Open some of the files, choose a size, and read all of them into the cache of the runs."""
    files = source.list_files()
    sizes = read_sizes([each.path for each in files])
    if not sizes.heights:
        source.dataset({}).read(on_progress)  # which says why none can be read
        raise AssertionError
    has_gpu = bool(find_gpus()) or has_apple_gpu()
    settings = sizes.choose(has_gpu=has_gpu)
    dataset = source.dataset({**settings, "on_error": "skip"}).read(on_progress)
    return Look(source, len(files), sizes, settings, dataset, profile_dataset(dataset), has_gpu)


def read_sizes(paths: Sequence[Path]) -> Sizes:
    """The sizes of some of the files, by their headers; a few are decoded to look for colour."""
    from PIL import Image

    chosen = [paths[i] for i in spread_evenly(len(paths), MOST_OPENED)]
    heights, widths, modes = [], [], set()
    with without_remarks():
        for path in chosen:
            try:
                with Image.open(path) as image:
                    heights.append(image.height)
                    widths.append(image.width)
                    modes.add(image.mode)
            except Exception:  # whoever reads all of them says which, and why
                continue
    is_grey = modes <= {"1", "L", "LA", "I;16", "I;16B"} or not _has_colour(chosen)
    return Sizes(heights, widths, not is_grey)


def _has_colour(paths: Sequence[Path]) -> bool:
    """Tell whether an image is more than grey, whatever its file could hold."""
    decoding = Decoding(size=(64, 64), resize="squash", interpolation="nearest")
    for place in spread_evenly(len(paths), MOST_DECODED):
        try:
            pixels = decoding.decode(paths[place])
        except UnreadableImageError:
            continue
        if (pixels.max(2) != pixels.min(2)).any():
            return True
    return False


def memory_share(look: Look) -> float:
    """The fraction of this machine's memory that the images take."""
    return look.num_bytes / count_memory_bytes()
