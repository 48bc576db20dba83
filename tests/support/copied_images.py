"""Copies of training images, as they are and changed, put among those of another split."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from expkit.data.store.samples import Dataset, Samples

Picture = npt.NDArray[np.uint8]


COPIED = np.arange(5, 105, 10)  # of the training samples


def to_image(picture: Picture) -> Image.Image:
    return Image.fromarray(picture[..., 0])


def reencode(picture: Picture) -> Picture:
    file = io.BytesIO()
    to_image(picture).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))[..., None]


def brighten(picture: Picture) -> Picture:
    return np.clip(picture * 1.05 + 6, 0, 255).astype(np.uint8)


def resize(picture: Picture) -> Picture:
    smaller = to_image(picture).resize((48, 48), Image.Resampling.BICUBIC)
    return np.asarray(smaller.resize((64, 64), Image.Resampling.BICUBIC))[..., None]


def roughen(picture: Picture) -> Picture:
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def leak(dataset: Dataset, copy: Callable[[Picture], Picture]) -> Dataset:
    """Copies of some training images at the end of val."""
    train, val = dataset.splits["train"], dataset.splits["val"]
    copies = np.stack([copy(train.images[i]) for i in COPIED])
    leaky = Samples(
        np.concatenate([val.images, copies]),
        np.concatenate([val.targets, train.targets[COPIED]]),
        [*val.names, *(f"copy_{i}" for i in COPIED)],
    )
    return replace(dataset, splits={**dataset.splits, "val": leaky})
