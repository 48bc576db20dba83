"""Scans of four kinds of microscope tip, made up in the class fractions of log 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.splitting import Selection
from expkit.errors import UserError

FRACTION = (
    0.088,
    0.439,
    0.169,
    0.304,
)  # of the tips in microscope.TIPS; log 3's weights mean these
PIXELS_AT_ONCE = 2**21  # that are drawn: memory stays small beside the images themselves
MAX_PIXELS = 2_000_000_000


@dataclass(frozen=True, kw_only=True)
class ScanLines(Selection):
    """One-channel images in which each line has its own offset; what made them is the class.

    The images of log 3 are not public. These have its class fractions and its difficulty: see
    `expkit.data.synthetic.microscope` for how they are drawn. `seed` draws the images.
    """

    num_samples: Annotated[int, Ge(40)] = 1700
    size: Annotated[int, Ge(16), Le(1024)] = 128
    seed: Annotated[int, Ge(0)] = 0
    normalize: Normalization = "scan_line"

    def __post_init__(self) -> None:
        super().__post_init__()
        num_pixels = self.num_samples * self.size**2
        if num_pixels > MAX_PIXELS:
            raise UserError(
                f"{num_pixels:,} pixels are too many to keep in memory",
                where=f"dataset.num_samples={self.num_samples}, dataset.size={self.size}",
                allowed=f"num_samples x size^2 <= {MAX_PIXELS:,}",
            )

    def read(self, on_progress: ProgressCallback) -> Dataset:
        import numpy as np

        from expkit.data.synthetic.microscope import TIPS, draw_scans

        rng = np.random.default_rng(self.seed)
        tips = rng.permutation(np.repeat(np.arange(len(FRACTION)), class_counts(self.num_samples)))
        images = np.empty((self.num_samples, self.size, self.size, 1), np.uint8)
        step = max(1, PIXELS_AT_ONCE // self.size**2)
        for start in range(0, self.num_samples, step):
            drawn = draw_scans(tips[start : start + step], self.size, rng)
            images[start : start + step, ..., 0] = drawn
            on_progress("drawing scans", min(start + step, self.num_samples), self.num_samples)
        names = [f"scan_{i:05d}" for i in range(self.num_samples)]
        scans = Samples(images, tips, names)
        return Dataset(
            self.divide({"train": scans}),
            self.normalize,
            class_names=TIPS,
            unsuitable_views={
                "vertical_flip": "its lines are scanned one after another, downwards"
            },
        )


def class_counts(num_samples: int) -> list[int]:
    """Count the samples of each class: fractions rounded down, the rest given to the nearest."""
    exact = [fraction * num_samples for fraction in FRACTION]
    counts = [int(number) for number in exact]
    most_cut = sorted(range(len(FRACTION)), key=lambda tip: counts[tip] - exact[tip])
    for tip in most_cut[: num_samples - sum(counts)]:
        counts[tip] += 1
    return counts
