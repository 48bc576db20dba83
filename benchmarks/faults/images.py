"""The data that cases are made of: real digits, and coloured shapes that are drawn on the spot."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Split = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]  # N x H x W x C, and N classes
Splits = dict[str, Split]

SHAPES = ("disc", "square", "cross", "ring", "bars")
SIZE = 24  # pixels
PER_CLASS = {"train": 80, "val": 30, "test": 30}


@functools.cache
def _all_digits() -> Split:
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.round(source.images * (255 / 16)).astype(np.uint8)[..., None]
    return images, source.target.astype(np.int64)


def digits() -> Splits:
    """scikit-learn's digits in a fixed order, 70 : 15 : 15."""
    images, labels = _all_digits()
    order = np.random.default_rng(0).permutation(len(labels))
    bounds = {"train": (0, 1257), "val": (1257, 1527), "test": (1527, len(labels))}
    return {name: (images[order[a:b]], labels[order[a:b]]) for name, (a, b) in bounds.items()}


def shapes(
    counts: Mapping[str, int] = PER_CLASS, *, seed: int = 0, noise: float = 12.0, size: int = SIZE
) -> Splits:
    """Images of one shape each, of any colour and anywhere, on a background of another."""
    rng = np.random.default_rng(seed)
    return {name: _draw_split(count, size, noise, rng) for name, count in counts.items()}


def _draw_split(count: int, size: int, noise: float, rng: np.random.Generator) -> Split:
    labels = rng.permutation(np.repeat(np.arange(len(SHAPES)), count))
    images = np.stack([_draw(SHAPES[label], size, rng) for label in labels])
    images = images + rng.normal(0, noise, images.shape)
    return images.clip(0, 255).astype(np.uint8), labels


def _draw(shape: str, size: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    background = rng.uniform(0, 110, 3)
    colour = rng.uniform(130, 255, 3)
    radius = rng.uniform(0.25, 0.36) * size
    x, y = rng.uniform(radius, size - radius, 2)
    rows, columns = np.mgrid[:size, :size]
    across, down = (columns - x) / radius, (rows - y) / radius
    inside = _INSIDE[shape](across, down)
    return np.where(inside[..., None], colour, background)


_INSIDE: Mapping[str, Any] = {
    "disc": lambda x, y: x**2 + y**2 < 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.85,
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.25) & (np.maximum(abs(x), abs(y)) < 1),
    "ring": lambda x, y: (x**2 + y**2 < 1) & (x**2 + y**2 > 0.4),
    "bars": lambda x, y: (np.maximum(abs(x), abs(y)) < 1) & (np.floor(y * 2.5) % 2 == 0),
}
