"""Made-up logos of four kinds, as many of each: the classes of log 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le, Lt

from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.splitting import Selection
from expkit.errors import UserError

MAX_PIXELS = 600_000_000  # of three bytes each


@dataclass(frozen=True, kw_only=True)
class Logos(Selection):
    """Simple logos, words, gradients and complex logos, drawn alike in all else.

    The logos of log 5 are not public. See `expkit.data.synthetic.logos` for how these are drawn.
    `seed` draws them; one of them stays the same whatever the number of others.
    """

    num_per_class: Annotated[int, Ge(10)] = 200
    size: Annotated[int, Ge(16), Le(1024)] = 64
    seed: Annotated[int, Ge(0)] = 0
    normalize: Normalization = "dataset"
    val_fraction: Annotated[float, Ge(0), Lt(1)] = 0.2
    test_fraction: Annotated[float, Ge(0), Lt(1)] = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        num_pixels = 4 * self.num_per_class * self.size**2
        if num_pixels > MAX_PIXELS:
            raise UserError(
                f"{num_pixels:,} pixels are too many to keep in memory",
                where=f"dataset.num_per_class={self.num_per_class}, dataset.size={self.size}",
                allowed=f"4 x num_per_class x size^2 <= {MAX_PIXELS:,}",
            )

    def read(self, on_progress: ProgressCallback) -> Dataset:
        import numpy as np

        from expkit.data.synthetic.logos import KINDS, draw_logo

        count = len(KINDS) * self.num_per_class
        images = np.empty((count, self.size, self.size, 3), np.uint8)
        names = []
        for place in range(count):
            kind, number = divmod(place, self.num_per_class)
            rng = np.random.default_rng([self.seed, kind, number])
            images[place] = draw_logo(kind, self.size, rng)
            names.append(f"{KINDS[kind]}_{number:04d}")
            if place % 20 == 19 or place == count - 1:
                on_progress("drawing logos", place + 1, count)
        logos = Samples(images, np.repeat(np.arange(len(KINDS)), self.num_per_class), names)
        return Dataset(self.divide({"train": logos}), self.normalize, class_names=KINDS)
