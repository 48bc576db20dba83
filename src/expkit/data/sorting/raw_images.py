"""A raw folder of images: decoded small, with duplicates and unreadable files told apart."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from expkit.data.sorting.properties import OF_FILES, SIDE
from expkit.data.store.cache import digest_of
from expkit.data.store.decoding import Decoding, UnreadableImageError, decode_all
from expkit.data.store.folder_tree import list_images
from expkit.data.store.samples import UNWRITABLE
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.store.progress import ProgressCallback

CHUNK = 64  # images that are measured at once
SMALL = Decoding(size=(SIDE, SIDE), resize="squash")


@dataclass(frozen=True)
class RawImages:
    """The distinct readable images of a folder, and why the others are left out."""

    paths: Sequence[Path]  # in order of their names
    images_NHWC: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.float64]  # N x 2: width and height of the file's image
    left_out: Mapping[Path, str]

    def __len__(self) -> int:
        return len(self.paths)

    def of_file(self, name: str) -> npt.NDArray[np.float64]:
        """A property that the files' own sizes tell."""
        width, height = self.sizes.T
        measured: dict[str, npt.NDArray[np.float64]] = dict(
            zip(OF_FILES, (width, height, width / height), strict=True)
        )
        return measured[name]

    def chunks(self) -> Sequence[npt.NDArray[np.uint8]]:
        return [self.images_NHWC[i : i + CHUNK] for i in range(0, len(self), CHUNK)]


def read_raw_images(folder: Path, on_progress: ProgressCallback) -> RawImages:
    """Read every image below a folder; equal ones are taken once, by the first name."""
    paths = list_raw_images(folder)
    kept, images, sizes = [], [], []
    left_out: dict[Path, str] = {}
    first: dict[int, Path] = {}
    above = folder.resolve().parent
    for path, decoded in zip(paths, decode_all(paths, SMALL, on_progress), strict=True):
        if isinstance(decoded, UnreadableImageError):
            left_out[path] = f"unreadable: {decoded}"
            continue
        if UNWRITABLE.search(os.path.relpath(path.resolve(), above)):  # as the manifest names it
            left_out[path] = "its name holds what no table can: control characters, or no UTF-8"
            continue
        digest = digest_of(decoded)
        if digest in first:
            left_out[path] = f"the same image as {first[digest].relative_to(folder)}"
            continue
        first[digest] = path
        kept.append(path)
        images.append(decoded)
        sizes.append(_size_of(path))
    if not kept:
        raise UserError(
            f"none of the {len(paths)} images in '{folder}' can be read",
            where="\n".join(f"{path.name}: {why}" for path, why in list(left_out.items())[:5]),
        )
    return RawImages(kept, np.stack(images), np.array(sizes, np.float64), left_out)


def list_raw_images(folder: Path) -> list[Path]:
    """The image files below a folder, hidden ones apart, by name."""
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "is not there"
        raise UserError(f"the folder '{folder}' {kind}", where=str(folder))
    paths = sorted(list_images(folder)[0])
    if not paths:
        raise UserError(
            f"there are no images in '{folder}'",
            where=str(folder),
            allowed="image files that Pillow reads, in it or in folders below: PNG, JPEG, ...",
        )
    return paths


def _size_of(path: Path) -> tuple[int, int]:
    """Width and height, of an image that was decoded before; its turn by EXIF is heeded."""
    from PIL import Image

    with Image.open(path) as image:
        width, height = image.size
        is_turned = image.getexif().get(0x0112, 1) >= 5  # of the orientations 1 to 8
    return (height, width) if is_turned else (width, height)
