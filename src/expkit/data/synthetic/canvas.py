"""A painter's means on numpy fields: noise, enlarging, mixing, ramps, relief and strokes.

Fields are H x W and coloured ones 3 x H x W, which numpy walks fastest; float32 halves the cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import ImageDraw

    from expkit.data.synthetic.palette import Colour

    Field = npt.NDArray[np.floating[Any]]
    Places = npt.NDArray[np.intp]


def grow_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cells: float,
    *,
    stretch: float = 1.0,
    roughness: float = 0.55,
    octaves: int = 12,
) -> Field:
    """Fractal noise of about unit std; `cells` of the coarsest octave fit in the height.

    Each octave is added at its own small size and enlarged with the ones before it, so the whole
    sum costs little more than its last octave. `stretch` above 1 makes wide, flat features.
    """
    cells_x, cells_y = cells * width / height / stretch, cells
    field = np.zeros((1, 1), np.float32)
    for octave in range(octaves):
        columns, rows = round(cells_x * 2**octave), round(cells_y * 2**octave)
        size = (min(width, max(1, columns)), min(height, max(1, rows)))
        field = enlarge(field, size)
        amplitude = 1.6 * roughness**octave
        field += amplitude * (rng.random(field.shape, np.float32) - np.float32(0.5))
        if size == (width, height):
            break
    return enlarge(field, (width, height))


def enlarge(field: Field, size: tuple[int, int]) -> Field:
    """`size` is Pillow's: width, height."""
    return np.array(Image.fromarray(field).resize(size, Image.Resampling.BICUBIC))


def halve(height: int, width: int) -> tuple[int, int]:
    """The size at which soft things are painted before they are enlarged."""
    return max(1, height // 2), max(1, width // 2)


def mix(start: Colour | Field, end: Colour | Field, amount: Field) -> Field:
    """Blends colours by a field of amounts; both may be one colour or differ by place."""
    first, last = spread(start), spread(end)
    mixed: Field = (last - first) * amount
    mixed += first
    return mixed


def spread(colour: Colour | Field) -> Field:
    """One colour as 3 x 1 x 1, which fits any coloured field; a field stays as it is."""
    return np.array(colour, np.float32).reshape(3, 1, 1) if isinstance(colour, tuple) else colour


def ramp(field: Field, low: float, high: float) -> Field:
    """A smooth step: its soft ends keep masks from showing as cut paper."""
    step: Field = np.clip((field - low) * (1 / (high - low)), 0, 1)
    return step * step * (3 - 2 * step)


def slope(field: Field, step: int, axis: int) -> Field:
    """The rise over `step` places along an axis, which light turns into relief."""
    length = field.shape[axis]
    return field - field.take(np.clip(np.arange(length) - step, 0, length - 1), axis)


def mark_centres(length: int) -> Field:
    """The centres of `length` pixels, as fractions of the whole."""
    return (np.arange(length, dtype=np.float32) + np.float32(0.5)) / np.float32(length)


def clip_places(field: Field, length: int) -> Places:
    """Indices for looking into an axis of `length`, whatever the field says."""
    return np.clip(field, 0, length - 1).astype(np.intp)


def to_image(field: Field) -> Image.Image:
    """A grey image from H x W, a coloured one from 3 x H x W."""
    pixels = np.clip(field, 0, 255).astype(np.uint8)
    if pixels.ndim == 2:
        return Image.fromarray(pixels)
    return Image.merge("RGB", [Image.fromarray(plane) for plane in pixels])


def draw_triangles(draw: ImageDraw.ImageDraw, corners: Field, tones: Field) -> None:
    """Each is a row of six numbers (x, y, x, y, x, y); grass and boughs are nothing else."""
    fills = np.clip(tones, 0, 255).astype(np.uint8).tolist()
    for triangle, fill in zip(corners.tolist(), fills, strict=True):
        draw.polygon(triangle, fill=tuple(fill))
