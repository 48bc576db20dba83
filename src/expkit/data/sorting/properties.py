"""Properties that are measured of images, by which rules tell classes apart.

Each is a function of images N x 128 x 128 x 3 in uint8, whatever their files' sizes were, and
returns a number for each. Those of `of_files` are known from the files alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Images = npt.NDArray[np.uint8]
    Numbers = npt.NDArray[np.float64]
    Property = Callable[[Images], Numbers]

SIDE = 128  # pixels of the images that are measured
LUMINANCE = np.array([0.30, 0.59, 0.11], np.float32)
COLOUR_STEP = 32  # levels of a channel that count as one colour
LEAST_FRACTION = 0.01  # of the pixels, that a colour must have to count
EDGE = 28.0  # levels from one of 64 x 64 pixels to the next
SLOPE, STEEP = 2.5, 20.0  # levels from one of 32 x 32 pixels to the next: what is a gradient
THIN = 7  # pixels: what is thinner is a stroke
STROKE, LEAST_STROKE = 0.3, 16.0  # by which strokes differ: of the image's contrast, and in levels
LINE = 12  # pixels: half the height of a line of text
FEW_STROKES = 20  # of all rows together: no text has so few
SMALLEST_PART = 6  # of 64 x 64 pixels


def brightness(images_NHWC: Images) -> Numbers:
    """The mean luminance, 0 to 1."""
    numbers: Numbers = _luminance(images_NHWC).mean((1, 2), dtype=np.float64) / 255
    return numbers


def contrast(images_NHWC: Images) -> Numbers:
    """The standard deviation of the luminance, 0 to 0.5."""
    numbers: Numbers = _luminance(images_NHWC).std((1, 2), dtype=np.float64) / 255
    return numbers


def saturation(images_NHWC: Images) -> Numbers:
    """The mean distance of the largest channel from the smallest, 0 to 1."""
    span = images_NHWC.max(-1).astype(np.float32) - images_NHWC.min(-1)
    numbers: Numbers = span.mean((1, 2), dtype=np.float64) / 255
    return numbers


def num_colours(images_NHWC: Images) -> Numbers:
    """How many of 512 colours have at least a hundredth of the pixels, once noise is averaged."""
    steps = _shrunk(images_NHWC, 2).astype(np.int64) // COLOUR_STEP
    codes = ((steps[..., 0] * 8 + steps[..., 1]) * 8 + steps[..., 2]).reshape(len(steps), -1)
    flat = codes + 512 * np.arange(len(codes))[:, None]
    counts = np.bincount(flat.ravel(), minlength=512 * len(codes)).reshape(len(codes), 512)
    many: Numbers = (counts >= LEAST_FRACTION * codes.shape[1]).sum(1).astype(np.float64)
    return many


def edge_density(images_NHWC: Images) -> Numbers:
    """The fraction of pixels at which the colour changes abruptly."""
    numbers: Numbers = (_slope(_shrunk(images_NHWC, 2)) > EDGE).mean((1, 2), dtype=np.float64)
    return numbers


def gradient_fraction(images_NHWC: Images) -> Numbers:
    """The fraction of pixels, away from edges, at which the colour changes slowly and steadily."""
    from scipy.ndimage import maximum_filter, uniform_filter

    shrunk = _shrunk(images_NHWC, 4)
    slope = _slope(uniform_filter(shrunk, (0, 3, 3, 0), mode="nearest"))
    is_near_edge = maximum_filter(_slope(shrunk), (1, 3, 3)) > STEEP
    numbers: Numbers = ((slope > SLOPE) & ~is_near_edge).mean((1, 2), dtype=np.float64)
    return numbers


def text_likeness(images_NHWC: Images) -> Numbers:
    """The number of strokes that a row of the best line crosses, times its fraction of them all.

    Strokes are lighter than what is beside them, or darker: the more likely of the two counts.
    """
    from scipy.ndimage import gaussian_filter, grey_closing, grey_opening

    grey = gaussian_filter(_luminance(images_NHWC), (0, 1.0, 1.0))
    low, high = np.percentile(grey[:, ::2, ::2], [3, 97], axis=(1, 2))
    least = np.maximum(STROKE * (high - low), LEAST_STROKE)[:, None, None]
    size = (1, THIN, THIN)
    light, dark = grey - grey_opening(grey, size), grey_closing(grey, size) - grey
    return np.maximum(_in_one_line(light > least), _in_one_line(dark > least))


def num_parts(images_NHWC: Images) -> Numbers:
    """How many areas edges part the image into, the ground among them."""
    from scipy.ndimage import label

    counts = []
    for is_plain in _slope(_shrunk(images_NHWC, 2)) <= EDGE:
        areas = np.bincount(label(is_plain)[0].ravel())[1:]
        counts.append(float((areas >= SMALLEST_PART).sum()))
    return np.array(counts)


PROPERTIES: Mapping[str, Property] = {
    each.__name__: each
    for each in (
        *(brightness, contrast, saturation, num_colours),
        *(edge_density, gradient_fraction, text_likeness, num_parts),
    )
}
OF_FILES = ("width", "height", "aspect")  # of the image as its file has it, in pixels


def _luminance(images_NHWC: Images) -> npt.NDArray[np.float32]:
    return images_NHWC.astype(np.float32) @ LUMINANCE


def _shrunk(images_NHWC: Images, factor: int) -> npt.NDArray[np.float32]:
    """The means of squares of so many pixels a side, in which noise is weaker."""
    n, height, width, channels = images_NHWC.shape
    cells = images_NHWC.reshape(n, height // factor, factor, width // factor, factor, channels)
    shrunk: npt.NDArray[np.float32] = cells.mean((2, 4), dtype=np.float32)
    return shrunk


def _slope(images_NHWC: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The levels by which the channel that changes most does so from pixel to pixel, N x H x W."""
    down, across = np.gradient(images_NHWC, axis=(1, 2))
    slope: npt.NDArray[np.float32] = np.hypot(down, across).max(-1)
    return slope


def _in_one_line(strokes_NHW: npt.NDArray[np.bool_]) -> Numbers:
    """The mean crossings of the rows of the best line, times its fraction of all crossings."""
    from scipy.ndimage import uniform_filter1d

    crossings = (strokes_NHW[:, :, 1:] & ~strokes_NHW[:, :, :-1]).sum(2).astype(np.float64)
    lines = uniform_filter1d(crossings, LINE, axis=1, mode="constant")
    is_within = np.abs(np.arange(SIDE) - lines.argmax(1)[:, None]) <= LINE
    fraction = (crossings * is_within).sum(1) / np.maximum(crossings.sum(1), FEW_STROKES)
    crossed: Numbers = lines.max(1) * fraction
    return crossed
