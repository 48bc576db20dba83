"""Arrays that a run keeps for its pages: images of a few samples, and predictions of an epoch."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from expkit.errors import UserError
from expkit.records.safe_open import MEGA, open_to_read

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    Arrays = Mapping[str, npt.NDArray[np.generic]]

MAX_BYTES = 2_000 * MEGA  # unpacked
MAX_ARRAYS = 16
IMAGE_FORMATS = ("JPEG", "PNG")
# the kind of numbers and how many axes: u bytes, i whole numbers, f fractions, U text
SNAPSHOT_ARRAYS = {
    "targets": ("i", 1),
    "predictions": ("i", 1),
    "shown": ("i", 1),
    "probabilities": ("f", 2),
}
SAMPLES_ARRAYS = {"stored": ("u", 4), "seen": ("u", 4), "targets": ("if", 0)}
MISTAKES_ARRAYS = {
    "images": ("u", 4),
    "names": ("U", 1),
    "targets": ("i", 1),
    "predictions": ("i", 1),
    "confidences": ("f", 1),
}


def read_arrays(path: Path, root: Path, shapes: Mapping[str, tuple[str, int]]) -> Arrays:
    """Read the arrays of these kinds and numbers of axes (0: any) from an npz file of a run."""
    import numpy as np

    with open_to_read(path, root) as stream:
        try:
            _refuse_bombs(stream)
            with np.load(stream, allow_pickle=False) as archive:
                arrays = dict(archive)
            for name, (kinds, num_axes) in shapes.items():
                array = arrays[name]
                if array.dtype.kind not in kinds or (num_axes and array.ndim != num_axes):
                    raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
        # a zip file can be wrong in many ways
        except (ValueError, KeyError, OSError, EOFError, MemoryError, RuntimeError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
        except (zipfile.BadZipFile, NotImplementedError, ArithmeticError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
    return arrays


def read_image(path: Path, root: Path) -> Image:
    """Read an image of a run, in colours."""
    import warnings

    from PIL import Image, UnidentifiedImageError

    with open_to_read(path, root) as stream:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                # not EPS, for one, which Pillow hands to Ghostscript to be run
                with Image.open(stream, formats=IMAGE_FORMATS) as opened:
                    return opened.convert("RGB")
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError, MemoryError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error


def _refuse_bombs(stream: BinaryIO) -> None:
    """Add up what the arrays' own heads say that they hold, before any is made."""
    import numpy as np

    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if len(members) > MAX_ARRAYS:
            raise ValueError(f"it holds {len(members)} arrays")
        total = 0
        for member in members:
            with archive.open(member) as opened:
                version = np.lib.format.read_magic(opened)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, dtype = read(opened)
            if dtype.hasobject:
                raise ValueError(f"{member.filename} holds objects")
            size: Any = dtype.itemsize
            for length in shape:
                size *= int(length)
            total += max(size, member.file_size)
    if total > MAX_BYTES:
        raise ValueError(f"unpacked it holds {total / MEGA:,.0f} MB")
    stream.seek(0)


def check_snapshot(arrays: Arrays, path: Path) -> None:
    """Refuse a snapshot whose arrays do not belong together."""
    num_samples, num_shown = len(arrays["targets"]), len(arrays["shown"])
    _, num_classes = arrays["probabilities"].shape
    belong = (
        num_samples == len(arrays["predictions"])
        and num_shown == len(arrays["probabilities"])
        and num_shown > 0
        and _within(arrays["shown"], num_samples)
        and _within(arrays["targets"], num_classes)
        and _within(arrays["predictions"], num_classes)
    )
    if not belong:
        raise damaged(path, "its arrays do not belong together")


def check_samples(arrays: Arrays, path: Path, num_classes: int | None) -> None:
    """Refuse images of samples that have no target each, or a class that is not there."""
    lengths = {len(array) if array.ndim else -1 for array in arrays.values()}
    named = [arrays[name] for name in ("targets", "predictions") if name in arrays]
    if len(lengths) > 1 or not all(
        num_classes is None or (each.dtype.kind == "i" and _within(each, num_classes))
        for each in named
    ):
        raise damaged(path, "its arrays do not belong together")


def _within(indices: npt.NDArray[Any], count: int) -> bool:
    return len(indices) == 0 or bool(indices.min() >= 0 and indices.max() < count)


def damaged(path: Path, why: str) -> UserError:
    """The answer to an npz file that no run writes."""
    return UserError(
        f"'{path.name}' is damaged: {why:.120}",
        where=str(path),
        fix="bring the file back from a copy, or take it away: pages are drawn without it",
    )
