"""Images as a caller has them, as what is decoded: a path, or an image that is open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from expkit.errors import UserError
from expkit.runner.prediction_table import list_images

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    OneImage: TypeAlias = str | Path | Image | npt.NDArray[np.uint8]
    Images: TypeAlias = OneImage | Iterable[OneImage]

ALLOWED = (
    "paths of image files, a folder, PIL images, or uint8 arrays: H x W, H x W x C, B x H x W x C"
)


def as_sources(images: Images) -> tuple[list[Path], list[Path | Image]]:
    """Return a name for each image (`image 3`, where it is no file), and what it is read from."""
    import numpy as np
    from PIL.Image import Image

    is_one = isinstance(images, str | Path | Image) or (
        isinstance(images, np.ndarray) and images.ndim < 4
    )
    given: list[Any] = [images] if is_one else list(_iterated(images))
    names: list[Path] = []
    sources: list[Path | Image] = []
    for place, each in enumerate(given):
        if isinstance(each, str | Path):
            found = list_images([Path(each)])
            names += found
            sources += found
        else:
            names.append(Path(f"image {place}"))
            sources.append(each if isinstance(each, Image) else _from_array(each, place))
    if not sources:
        raise UserError("there are no images to predict", where="an empty list", allowed=ALLOWED)
    return names, sources


def _iterated(images: Any) -> Iterable[Any]:
    try:
        yield from images
    except TypeError:
        raise _refused(images, "it is no image") from None


def _from_array(array: Any, place: int) -> Image:
    """An array as an open image, its levels as they are."""
    import numpy as np
    from PIL import Image

    if not isinstance(array, np.ndarray):
        raise _refused(array, f"image {place} is no image")
    if array.dtype != np.uint8:
        raise _refused(
            array,
            f"image {place} has the type {array.dtype}",
            "levels from 0 to 255: (255 * image).round().astype('uint8') of one in 0 to 1",
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] > 4):
        shape = " x ".join(map(str, array.shape))
        hint = "channels come last: array.transpose(1, 2, 0)" if array.shape[:1] <= (4,) else None
        raise _refused(array, f"image {place} has the shape {shape}", hint)
    return Image.fromarray(array)


def _refused(given: object, what: str, fix: str | None = None) -> UserError:
    return UserError(
        what, where=f"a value of the type {type(given).__name__}", allowed=ALLOWED, fix=fix
    )
