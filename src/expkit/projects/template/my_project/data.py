"""Shapes that are drawn when they are asked for: data of one's own that needs no download."""

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset


class Shapes(Dataset[tuple[npt.NDArray[np.uint8], int]]):
    """Circles, squares and triangles of any place, size and colour, under noise.

    A sample is an image (height, width, 3) from 0 to 255 and the index of its class. It depends on
    the seed and its index alone: no sample changes from one reading to the next.
    """

    classes = ("circle", "square", "triangle")

    def __init__(self, count: int, size: int = 32, noise: float = 0.1, seed: int = 0) -> None:
        self.count = count
        self.size = size
        self.noise = noise
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, index))
        label = index % len(self.classes)
        inside = self._draw_mask(self.classes[label], rng)
        background, colour = rng.uniform(0.0, 0.4, 3), rng.uniform(0.6, 1.0, 3)
        image = np.where(inside[..., None], colour, background)
        image += rng.normal(0.0, self.noise, image.shape)
        return (image.clip(0.0, 1.0) * 255).round().astype(np.uint8), label

    def _draw_mask(self, shape: str, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """The pixels that lie in a shape of a random radius, wherever it fits."""
        radius = rng.uniform(0.2, 0.35) * self.size
        down, right = rng.uniform(radius, self.size - radius, 2)
        y, x = np.mgrid[: self.size, : self.size] + 0.5
        y, x = (y - down) / radius, (x - right) / radius
        if shape == "circle":
            return x**2 + y**2 <= 1
        if shape == "square":
            return np.maximum(abs(x), abs(y)) <= 0.85
        return (y <= 0.8) & (abs(x) <= (y + 1) / 1.8)
