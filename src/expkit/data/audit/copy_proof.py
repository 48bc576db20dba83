"""Tells whether two images that look alike are one: by colour, and by the noise of flat parts.

Two drawings of one shape agree in every edge. Copies agree in what nobody draws, too: the grain.
Where an image has no grain, colour alone is judged, and how often such pairs occur must tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from expkit.data.audit.image_stats import shrink, to_grey

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.audit.image_stats import Floats

MOST_SHIFT = 2  # pixels
# Copies reach 0.93 of 24 x 24 pixels at JPEG 50, and 0.98 otherwise; other colours 0.9 at most.
LEAST_COLOUR = 0.93  # correlation of all pixels of all channels
MOST_GAIN = 2.0  # of contrast, one way or the other
# Independent grain reaches 0.3 at the best of all shifts; copies 0.35 (JPEG 75) to 0.99.
LEAST_GRAIN = 0.35
LEAST_GRAIN_LEVELS = 1.0  # standard deviation: below, it is rounding
EDGE = 3.0  # standard deviations of the grain: what departs further is drawn
FLAT_FRACTION = 30  # percent: even where shapes fill an image so much of it is flat
NORMAL_AT_FLAT_FRACTION = 0.385  # standard deviations: what 30 % of normal numbers do not exceed


def are_copies(ours_NHWC: Floats, theirs_NHWC: Floats) -> npt.NDArray[np.bool_]:
    """Tell of each pair whether it is one image, at its best shift; also at half size, for JPEG."""
    side = min(ours_NHWC.shape[1:3])
    proven = _agree(ours_NHWC, theirs_NHWC)
    if side >= 48:
        proven |= _agree(shrink(ours_NHWC, side // 2), shrink(theirs_NHWC, side // 2))
    return proven


def _agree(ours: Floats, theirs: Floats) -> npt.NDArray[np.bool_]:
    (our_grain, our_level), (their_grain, their_level) = (
        _grain(to_grey(each)) for each in (ours, theirs)
    )
    is_told = np.minimum(our_level, their_level) >= LEAST_GRAIN_LEVELS
    best = np.full(len(ours), -2.0)
    agree = np.zeros(len(ours), bool)
    shifts = range(-MOST_SHIFT, MOST_SHIFT + 1)
    for down, right in [(down, right) for down in shifts for right in shifts]:
        colour, gain = _relate(*_overlap(ours, theirs, down, right))
        grain = np.where(is_told, _relate(*_overlap(our_grain, their_grain, down, right))[0], 1)
        is_copy = (colour >= LEAST_COLOUR) & (np.maximum(gain, 1 / gain) <= MOST_GAIN)
        is_better = colour + grain > best
        agree = np.where(is_better, is_copy & (grain >= LEAST_GRAIN), agree)
        best = np.maximum(best, colour + grain)
    return agree


def _grain(images: Floats) -> tuple[Floats, Floats]:
    """The departure from the mean around each pixel, without edges, and its standard deviation."""
    from scipy.ndimage import uniform_filter

    detail = images - uniform_filter(images, (0, 3, 3), mode="nearest")
    flat = np.percentile(np.abs(detail), FLAT_FRACTION, axis=(1, 2), keepdims=True)
    level = np.maximum(flat / NORMAL_AT_FLAT_FRACTION, LEAST_GRAIN_LEVELS / 2)
    return np.where(np.abs(detail) < EDGE * level, detail, 0), level[:, 0, 0]


def _overlap(ours: Floats, theirs: Floats, down: int, right: int) -> tuple[Floats, Floats]:
    """n x pixels of both, where they lie over each other."""
    height, width = ours.shape[1:3]
    rows, columns = height - abs(down), width - abs(right)
    here = ours[:, max(0, down) :, max(0, right) :][:, :rows, :columns]
    there = theirs[:, max(0, -down) :, max(0, -right) :][:, :rows, :columns]
    return here.reshape(len(ours), -1), there.reshape(len(ours), -1)


def _relate(ours: Floats, theirs: Floats) -> tuple[Floats, Floats]:
    """Correlation, and the ratio of the spreads."""
    ours, theirs = (each - each.mean(1, keepdims=True) for each in (ours, theirs))
    norms = [np.sqrt(np.einsum("nd,nd->n", each, each)) + 1e-6 for each in (ours, theirs)]
    correlation: Floats = np.einsum("nd,nd->n", ours, theirs) / (norms[0] * norms[1])
    gain: Floats = norms[0] / norms[1]
    return correlation, gain
