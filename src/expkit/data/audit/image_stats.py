"""One pass over a split's images, or over an even part of them: thumbnails, levels, digests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from expkit.data.store.cache import digest_of
from expkit.data.store.row_file import RowFile

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.store.samples import Samples

    Floats = npt.NDArray[np.float32]
    Indices = npt.NDArray[np.int64]
    Images = npt.NDArray[np.uint8]

THUMBNAIL_SIDE, GREY_SIDE = 16, 64  # pixels
CHUNK_BYTES = 8 << 20  # of images at once; as floats they are four times as large


@dataclass(frozen=True)
class ImageStats:
    """The statistics of one pass over a split, a row for each image."""

    samples: Samples
    chosen: Indices  # of the samples: which were looked at
    thumbnails: Floats  # n x 16 x 16 x C, or smaller where the images are
    grey: Images  # n x 64 x 64, or smaller
    lowest: Images  # n x C
    highest: Images  # n x C
    digests: npt.NDArray[np.uint64]  # n
    squares: npt.NDArray[np.float64]  # n x C: the mean of the squared pixels
    num_levels: int  # distinct bytes among some of the images

    def select(self, places: Indices) -> ImageStats:
        """Some of the images that were looked at."""
        rows = ("chosen", "thumbnails", "grey", "lowest", "highest", "digests", "squares")
        return replace(self, **{name: getattr(self, name)[places] for name in rows})

    def names(self, places: Indices) -> list[str]:
        return [self.samples.names[i] for i in self.chosen[places].tolist()]

    @property
    def targets(self) -> npt.NDArray[np.int64] | npt.NDArray[np.float32]:
        return self.samples.targets[self.chosen]


def spread_evenly(total: int, count: int) -> Indices:
    """So many of `total` places, from the first to the last: sorted classes are all met."""
    if count >= total:
        return np.arange(total)
    return np.linspace(0, total - 1, count).round().astype(np.int64)


def read_chunks(samples: Samples, chosen: Indices) -> Iterator[Images]:
    """The images of these samples, a few megabytes at a time; a mapped file is read by row."""
    file = RowFile(samples.images) if samples.is_mapped else None
    rows = chosen if samples.rows is None else samples.rows[chosen]
    image_bytes = int(np.prod(samples.images.shape[1:]))
    step = max(1, CHUNK_BYTES // image_bytes)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        yield samples.images[part] if file is None else file.read(part)


def measure_images(samples: Samples, count: int, also: Indices | None = None) -> ImageStats:
    """Look at so many of a split's images, evenly spread, and at some others besides."""
    chosen = spread_evenly(len(samples), count)
    if also is not None:
        chosen = np.union1d(chosen, also)
    thumbnails, greys, lowest, highest, squares, digests = [], [], [], [], [], []
    levels = np.zeros(256, bool)
    for images in read_chunks(samples, chosen):
        pixels = images.astype(np.float32)
        thumbnails.append(shrink(pixels, THUMBNAIL_SIDE))
        greys.append(_shrunk_grey(pixels))
        squares.append(np.einsum("nhwc,nhwc->nc", pixels, pixels) / pixels[0, ..., 0].size)
        lowest.append(_over_pixels(np.minimum, images))
        highest.append(_over_pixels(np.maximum, images))
        levels[np.unique(images[:: max(1, len(images) // 8)])] = True
        if samples.digests is None:
            digests += [digest_of(image) for image in images]
    return ImageStats(
        samples=samples,
        chosen=chosen,
        thumbnails=np.concatenate(thumbnails),
        grey=np.concatenate(greys),
        lowest=np.concatenate(lowest),
        highest=np.concatenate(highest),
        digests=np.array(digests, np.uint64)
        if samples.digests is None
        else samples.digests[chosen],
        squares=np.concatenate(squares).astype(np.float64),
        num_levels=int(levels.sum()),
    )


def levels_and_grain(images_NHWC: Images) -> tuple[npt.NDArray[np.float64], Floats]:
    """The mean of each image's channels, N x C, and its grain: as the data profile has them."""
    pixels = images_NHWC.astype(np.float32)
    levels = shrink(pixels, THUMBNAIL_SIDE).mean((1, 2), dtype=np.float64)
    return levels, grain_of(_shrunk_grey(pixels))


def grain_of(grey_NHW: Images) -> Floats:
    """The grain of each image: noise, texture, sharpness, as the median of its fine detail."""
    from scipy.ndimage import uniform_filter

    images = grey_NHW.astype(np.float32)
    detail = np.abs(images - uniform_filter(images, (0, 3, 3), mode="nearest"))
    grain: Floats = np.median(detail, axis=(1, 2))
    return grain


def _shrunk_grey(pixels_NHWC: Floats) -> Images:
    grey: Images = (
        shrink(to_grey(pixels_NHWC)[..., None], GREY_SIDE)[..., 0].round().astype(np.uint8)
    )
    return grey


def _over_pixels(ufunc: np.ufunc, images: Images) -> Images:
    """n x C: rows first, along which numpy is fast, although C is small."""
    by_column = ufunc.reduce(images, axis=1)
    result: Images = ufunc.reduce(by_column, axis=1)
    return result


def shrink(pixels_NHWC: Floats, side: int) -> Floats:
    """Means over equal areas, at most `side` a side; smaller images stay as they are."""
    n, height, width, channels = pixels_NHWC.shape
    rows = _areas(height, side) @ pixels_NHWC.reshape(n, height, width * channels)
    rows = rows.reshape(n, -1, width, channels)
    shrunk: Floats = np.einsum("vw,nhwc->nhvc", _areas(width, side), rows, optimize=True)
    return shrunk


def _areas(length: int, side: int) -> Floats:
    """The weight of each old pixel in each new one, side x length."""
    if length <= side:
        return np.eye(length, dtype=np.float32)
    edges = np.linspace(0, length, side + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (overlap.clip(0) * side / length).astype(np.float32)


def to_grey(pixels_NHWC: Floats) -> Floats:
    """The plain mean of the channels, by a product: numpy's mean takes thirty times as long."""
    channels = pixels_NHWC.shape[-1]
    grey: Floats = pixels_NHWC @ np.full(channels, 1 / channels, np.float32)
    return grey
