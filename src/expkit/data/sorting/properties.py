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
LEAST_SHARE = 0.01  # of the pixels, that a colour must have to count
EDGE = 14.0  # levels a pixel, of an image blurred by one pixel
SLOPE, STEEP = 0.6, 5.0  # levels a pixel, of an image blurred by four: what is a gradient
NEAR_EDGE = 9  # pixels: what lies so near to an edge is no gradient, but its blur
THIN = 11  # pixels: what is thinner is a stroke
STROKE = 24.0  # levels by which a stroke differs from what is beside it
LINE = 24  # pixels of the height of a line of text
SMALLEST_PART = 24  # pixels of area


def brightness(images_NHWC: Images) -> Numbers:
    """The mean luminance, 0 to 1."""
    return _luminance(images_NHWC).mean((1, 2), dtype=np.float64) / 255


def contrast(images_NHWC: Images) -> Numbers:
    """The standard deviation of the luminance, 0 to 0.5."""
    return _luminance(images_NHWC).std((1, 2), dtype=np.float64) / 255


def saturation(images_NHWC: Images) -> Numbers:
    """The mean distance of the largest channel from the smallest, 0 to 1."""
    span = images_NHWC.max(-1).astype(np.float32) - images_NHWC.min(-1)
    return span.mean((1, 2), dtype=np.float64) / 255


def num_colours(images_NHWC: Images) -> Numbers:
    """How many of 512 colours have at least a hundredth of the pixels, once noise is blurred."""
    steps = _blurred(images_NHWC, 1.0).astype(np.int64) // COLOUR_STEP
    codes = (steps[..., 0] * 8 + steps[..., 1]) * 8 + steps[..., 2]
    flat = codes.reshape(len(codes), -1) + 512 * np.arange(len(codes))[:, None]
    counts = np.bincount(flat.ravel(), minlength=512 * len(codes)).reshape(len(codes), 512)
    many: Numbers = (counts >= LEAST_SHARE * SIDE * SIDE).sum(1).astype(np.float64)
    return many


def edge_density(images_NHWC: Images) -> Numbers:
    """The fraction of pixels at which the colour changes abruptly."""
    return (_slope(_blurred(images_NHWC, 1.0)) > EDGE).mean((1, 2), dtype=np.float64)


def gradient_fraction(images_NHWC: Images) -> Numbers:
    """The fraction of pixels, away from edges, at which the colour changes slowly and steadily."""
    from scipy.ndimage import maximum_filter

    slope = _slope(_blurred(images_NHWC, 4.0))
    near = maximum_filter(slope, (1, NEAR_EDGE, NEAR_EDGE)) > STEEP
    return ((slope > SLOPE) & ~near).mean((1, 2), dtype=np.float64)


def text_likeness(images_NHWC: Images) -> Numbers:
    """The strokes that a row crosses within the best line of text, less those outside of it."""
    from scipy.ndimage import uniform_filter1d

    strokes = _strokes(images_NHWC)
    starts = strokes[:, :, 1:] & ~strokes[:, :, :-1]
    crossings = starts.sum(2).astype(np.float64)  # N x rows
    lines = uniform_filter1d(crossings, LINE, axis=1, mode="constant")
    best = lines.argmax(1)
    is_within = np.abs(np.arange(SIDE) - best[:, None]) <= LINE * 0.75
    outside = (crossings * ~is_within).sum(1) / np.maximum((~is_within).sum(1), 1)
    likeness: Numbers = lines.max(1) - outside
    return likeness


def num_parts(images_NHWC: Images) -> Numbers:
    """How many areas edges part the image into, the ground among them."""
    from scipy.ndimage import label

    plain = _slope(_blurred(images_NHWC, 1.0)) <= EDGE
    counts = []
    for image in plain:
        areas = np.bincount(label(image)[0].ravel())[1:]
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


def _blurred(images_NHWC: Images, pixels: float) -> npt.NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    blurred: npt.NDArray[np.float32] = gaussian_filter(
        images_NHWC.astype(np.float32), (0, pixels, pixels, 0), mode="nearest"
    )
    return blurred


def _slope(images_NHWC: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The levels by which the channel that changes most does so from pixel to pixel, N x H x W."""
    down, across = np.gradient(images_NHWC, axis=(1, 2))
    slope: npt.NDArray[np.float32] = np.hypot(down, across).max(-1)
    return slope


def _strokes(images_NHWC: Images) -> npt.NDArray[np.bool_]:
    """The pixels that are lighter or darker than what is beside them on both sides."""
    from scipy.ndimage import gaussian_filter, grey_closing, grey_opening

    grey = gaussian_filter(_luminance(images_NHWC), (0, 0.7, 0.7))
    size = (1, THIN, THIN)
    light, dark = grey - grey_opening(grey, size), grey_closing(grey, size) - grey
    return np.maximum(light, dark) > STROKE
