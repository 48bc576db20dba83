"""Images inside a page: small, and in a form that every browser shows."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from expkit.records.arrays import read_image
from expkit.records.safe_open import is_file, read_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Pixels = npt.NDArray[np.generic]

SMALL = 64  # pixels: a PNG of fewer is small, and every pixel of it is to be seen
LARGEST = 160  # pixels of an image beside others
MAX_PLOT_BYTES = 60_000  # of a plot that is shown as it lies there
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def sample_uri(image_HWC: Pixels) -> str:
    """Return a sample: small ones to the pixel, larger ones made smaller."""
    from PIL import Image

    is_coloured = image_HWC.shape[-1] == 3
    image = Image.fromarray(image_HWC if is_coloured else image_HWC[..., 0]).convert("RGB")
    if max(image.size) <= SMALL:
        return _encoded(image, "PNG", compress_level=3)
    image.thumbnail((LARGEST, LARGEST))
    return _encoded(image, "JPEG", quality=85)


def photo_uri(image: Image.Image, width: int) -> str:
    """Return an image of the run no wider than this."""
    if image.width > width:
        image = image.resize(
            (width, max(1, round(image.height * width / image.width))), reducing_gap=1.5
        )
    return _encoded(image.convert("RGB"), "JPEG", quality=75)


def plot_uri(path: Path, root: Path) -> str | None:
    """Return a plot of a folder, made smaller where it is large; None of one that no page shows."""
    kind = TYPES.get(path.suffix)
    if kind is None or not is_file(path, root):
        return None
    data = read_file(path, root)
    if len(data) <= MAX_PLOT_BYTES or path.suffix != ".png":
        return data_uri(data, kind)
    return _encoded(read_image(path, root), "WEBP", quality=75, method=0)


def plots_beside(folder: Path) -> Callable[[str], str | None]:
    """Return what finds the plot that a page links to, in its folder or in one of it."""

    def find(place: str) -> str | None:
        parts = PurePosixPath(place).parts
        is_inside = bool(parts) and ".." not in parts and not place.startswith("/")
        return plot_uri(folder.joinpath(*parts), folder) if is_inside else None

    return find


def _encoded(image: Image.Image, kind: str, **options: int) -> str:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return data_uri(stream.getvalue(), f"image/{kind.lower()}")
