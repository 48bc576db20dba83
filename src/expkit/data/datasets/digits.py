"""The handwritten digits that scikit-learn carries: real data that needs no download."""

from __future__ import annotations

from dataclasses import dataclass

from expkit.data.store.progress import ProgressCallback
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.splitting import Selection


@dataclass(frozen=True, kw_only=True)
class Digits(Selection):
    """1,797 images of 8 x 8 in 17 grey levels, split by class and seed."""

    normalize: Normalization = "dataset"

    def read(self, on_progress: ProgressCallback) -> Dataset:
        import numpy as np
        from sklearn.datasets import load_digits

        source = load_digits()
        # 0..16 to 0..255, so that every dataset has the same range
        images = np.round(source.images * (255 / 16)).astype(np.uint8)[..., None]
        names = [f"digit_{i:04d}" for i in range(len(images))]
        everything = Samples(images, source.target.astype(np.int64), names)
        return Dataset(
            self.divide({"train": everything}),
            self.normalize,
            class_names=[str(digit) for digit in range(10)],
        )
