"""Image files to bytes: any that Pillow reads, upright, in 8 bits, at the size that is asked."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from expkit.data.store.progress import ProgressCallback, with_progress
from expkit.hardware import count_cores

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    Pixels = npt.NDArray[np.uint8]

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
CHUNK = 512  # images handed to the threads at once: more would only wait in memory


class UnreadableImageError(Exception):
    """A file that is no whole image, with the reason in words."""


@dataclass(frozen=True)
class Decoding:
    """The options by which a file becomes H x W x C, as timm's evaluation transforms do it.

    `crop` brings the shorter side to size / crop_fraction, `squash` both sides; then the centre is
    cut out.
    """

    size: tuple[int, int] | None = None  # height, width; None: as the file has it
    crop_fraction: float = 1.0
    resize: Literal["crop", "squash"] = "crop"
    interpolation: Interpolation = "bicubic"
    channels: Literal[1, 3] = 3

    def decode(self, path: Path) -> Pixels:
        """One file; UnreadableImageError where it is none."""
        with without_remarks():
            return self.arrange(open_image(path))

    def arrange(self, image: Image.Image) -> Pixels:
        """An opened image in the asked channels and size."""
        image = image.convert("L" if self.channels == 1 else "RGB")
        if self.size is not None:
            image = self._fit(image, *self.size)
        return np.asarray(image).reshape(image.height, image.width, self.channels)

    def _fit(self, image: Image.Image, height: int, width: int) -> Image.Image:
        from PIL import Image

        tall, wide = self.padded_size
        if self.resize == "crop":
            tall, wide = _cover(image.height, image.width, tall, wide)
        method = Image.Resampling[self.interpolation.upper()]
        if image.size != (wide, tall):
            image = image.resize((wide, tall), method)
        top, left = round((tall - height) / 2), round((wide - width) / 2)
        return image.crop((left, top, left + width, top + height))

    @property
    def padded_size(self) -> tuple[int, int]:
        """The height and width that images have, at the least, before the centre is cut out."""
        assert self.size is not None, "an image keeps its own size, and nothing is cut"
        height, width = self.size
        # at least as large as the crop, whatever 0.3 / 0.1 comes to
        tall = max(height, int(height / self.crop_fraction))
        return tall, max(width, int(width / self.crop_fraction))

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON has it, which knows no tuples: recorded and live ones are equal."""
        return {**asdict(self), "size": None if self.size is None else list(self.size)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Decoding:
        size = record.get("size")
        known = {each.name: record[each.name] for each in fields(cls) if each.name in record}
        return cls(**{**known, "size": None if size is None else tuple(size)})


def _cover(height: int, width: int, tall: int, wide: int) -> tuple[int, int]:
    """The size, of the same shape, at which an image just covers tall x wide."""
    if height * wide <= width * tall:
        return tall, max(wide, tall * width // height)
    return max(tall, wide * height // width), wide


def open_image(source: Path | Image.Image) -> Image.Image:
    """A whole image, upright and in 8 bits; UnreadableImageError where it is none."""
    from PIL import Image

    try:
        if not isinstance(source, Path):  # the caller's, who may have opened it lazily
            return _upright(source)
        with Image.open(source) as opened:
            return _upright(opened)
    except Exception as error:  # a broken file makes Pillow's plugins raise whatever it will
        raise UnreadableImageError(_in_words(error, source)) from error


def _upright(opened: Image.Image) -> Image.Image:
    from PIL import ImageOps

    if opened.format == "EPS":  # Pillow would hand it to Ghostscript, which runs it
        raise ValueError("EPS is a program, and no image of pixels")
    opened.load()
    return to_8_bits(ImageOps.exif_transpose(opened))


def _in_words(error: Exception, source: object) -> str:
    """The reason without numbers of the system, or the path that stands beside it in lists."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error)
    for shown in (f"'{source}'", repr(str(source))):  # as Pillow repeats it
        text = text.replace(f" {shown}", "")
    return text or type(error).__name__


def to_8_bits(image: Image.Image) -> Image.Image:
    """Pillow clips 16 bits to white where it converts them; wider numbers have no known white."""
    from PIL import Image

    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are 32-bit numbers (mode {image.mode}), not levels")
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Pillow's warnings of odd metadata are no one's to act on; not to be entered by threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def decode_all(
    sources: Sequence[Path | Image.Image], decoding: Decoding, on_progress: ProgressCallback
) -> Iterator[Pixels | UnreadableImageError]:
    """Each file's image, or why there is none, in order, decoded by all cores.

    An image that is open already is brought to the same channels and size.
    """
    from concurrent.futures import ThreadPoolExecutor

    def decode(source: Path | Image.Image) -> Pixels | UnreadableImageError:
        try:
            return decoding.arrange(open_image(source))
        except UnreadableImageError as error:
            return error

    pool = ThreadPoolExecutor(count_cores())  # Pillow lets go of the interpreter as it decodes
    try:
        with without_remarks():
            chunks = (sources[start : start + CHUNK] for start in range(0, len(sources), CHUNK))
            results = (result for chunk in chunks for result in pool.map(decode, chunk))
            yield from with_progress(results, len(sources), on_progress)
    finally:  # whoever interrupts does not wait for files that are still under way
        pool.shutdown(wait=False, cancel_futures=True)
