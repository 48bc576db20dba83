"""Decoded images in a file, so that a second start decodes nothing: made aside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from expkit.data.store.decoding import UnreadableImageError
from expkit.data.store.memory_limits import count_memory_bytes
from expkit.errors import UserError
from expkit.folders_aside import begin_folder, clear_leftovers

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.store.decoding import Pixels

    Decoded = Iterator[Pixels | UnreadableImageError]

FORMAT = 2  # of the files below; another one is made anew
IMAGES, DIGESTS, METADATA = "images.npy", "digests.npy", "metadata.json"
MAKING = ".making_"  # begins the name of a store that is being made
ENOUGH_SIZES = 1000  # images looked at before they are refused for being of several sizes


@dataclass(frozen=True)
class Store:
    """The images that could be read, in order, resident or mapped."""

    images: npt.NDArray[np.uint8]  # N x H x W x C
    digests: npt.NDArray[np.uint64]
    unreadable: Mapping[int, str] = field(default_factory=dict)  # by place among all: the reason
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Cache:
    """A folder of stores, and the fraction of the memory that a store may take to be resident."""

    folder: Path
    memory_fraction: float

    def open(self, key: str, count: int, decode: Callable[[], Decoded]) -> Store:
        """The store of this key; `decode` gives its `count` images where there is none yet."""
        clear_leftovers(self.folder, MAKING)
        store = self._load(key)
        if store is not None:
            return store
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            aside, lock = begin_folder(self.folder, MAKING)
        except OSError as error:
            return self._keep(decode(), count, f"{error.strerror}: {self.folder}")
        try:
            with _explain_full_disk(self.folder):
                write_store(aside, same_size(decode()), count)
            store = self._put(aside, key)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            os.close(lock)
        return store

    def _load(self, key: str) -> Store | None:
        return load_store(self.folder / key, self._fits)

    def _fits(self, num_bytes: int) -> bool:
        return num_bytes <= self.memory_fraction * count_memory_bytes()

    def _put(self, aside: Path, key: str) -> Store:
        """Rename; where another process was quicker, its store is as good."""
        for _ in range(2):
            try:
                aside.rename(self.folder / key)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            store = self._load(key)
            if store is not None:
                return store
            _remove(self.folder / key)  # torn, or made by another version
        raise AssertionError("a store that was just written cannot be read")

    def _keep(self, decoded: Decoded, count: int, reason: str) -> Store:
        """Resident, where no cache can be written."""
        remark = f"no cache could be written ({reason}): the images are decoded at every start"
        images: npt.NDArray[np.uint8] | None = None
        digests: list[int] = []
        unreadable: dict[int, str] = {}
        for place, pixels in enumerate(same_size(decoded)):
            if isinstance(pixels, UnreadableImageError):
                unreadable[place] = str(pixels)
                continue
            if images is None:
                if not self._fits(count * pixels.nbytes):
                    raise UserError(
                        f"no cache can be written, and {count * pixels.nbytes / 1e9:.1f} GB of "
                        "images do not fit the fraction of the memory that they may take",
                        where=f"dataset.cache_dir: {reason}",
                        fix="dataset.cache_dir=FOLDER, one that can be written",
                    )
                images = np.empty((count, *pixels.shape), np.uint8)
            if pixels.shape == images.shape[1:]:  # others are refused once they are counted
                images[len(digests)] = pixels
                digests.append(digest_of(pixels))
        if images is None:
            images = np.empty((0, 1, 1, 1), np.uint8)
        return Store(
            images[: len(digests)], np.array(digests, np.uint64), unreadable, remarks=(remark,)
        )


def default_folder() -> Path:
    """Where caches lie by the rules of the desktop standard."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "expkit"


def write_store(folder: Path, decoded: Decoded, count: int) -> None:
    """One after another: no more than one image is in memory, and none needs to fit it."""
    digests: list[int] = []
    unreadable: dict[int, str] = {}
    shape: tuple[int, ...] = (1, 1, 1)
    with (folder / IMAGES).open("wb") as file:
        for place, pixels in enumerate(decoded):
            if isinstance(pixels, UnreadableImageError):
                unreadable[place] = str(pixels)
                continue
            if not digests:
                shape = pixels.shape
                _check_space(folder, count * pixels.nbytes)
                _write_header(file, (count, *shape))
            file.write(pixels.tobytes())
            digests.append(digest_of(pixels))
        # numpy pads headers, so that the first axis may change: the images stay where they are
        file.seek(0)
        _write_header(file, (len(digests), *shape))
        file.flush()
        os.fsync(file.fileno())
    np.save(folder / DIGESTS, np.array(digests, np.uint64))
    metadata = {"format": FORMAT, "unreadable": unreadable}
    (folder / METADATA).write_text(json.dumps(metadata))


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def load_store(folder: Path, fits: Callable[[int], bool]) -> Store | None:
    """Load a store; None where it is not whole."""
    try:
        metadata = json.loads((folder / METADATA).read_text())
        digests = np.load(folder / DIGESTS, allow_pickle=False)
        images = np.load(folder / IMAGES, mmap_mode="c", allow_pickle=False)
        unreadable = {int(place): str(reason) for place, reason in metadata["unreadable"].items()}
        is_whole = metadata["format"] == FORMAT and (images.ndim, images.dtype) == (4, np.uint8)
        if not is_whole or (len(images),) != digests.shape or digests.dtype != np.uint64:
            return None
        if fits(images.nbytes):
            images = np.load(folder / IMAGES, allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
    return Store(images, digests, unreadable)


def digest_of(pixels: Pixels) -> int:
    """Hash the bytes alone, so that the same image has the same digest in any dataset."""
    return int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "little")


def same_size(decoded: Decoded) -> Decoded:
    """The same images, refused as soon as enough of them are seen to differ in size."""
    sizes: Counter[tuple[int, int]] = Counter()
    for pixels in decoded:
        if not isinstance(pixels, UnreadableImageError):
            height, width, _ = pixels.shape
            sizes[width, height] += 1
            if len(sizes) > 1 and sizes.total() >= ENOUGH_SIZES:
                break
        yield pixels
    if len(sizes) > 1:
        common = sizes.most_common(5)
        listed = ", ".join(f"{width} x {height} ({number})" for (width, height), number in common)
        rest = f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""
        side = min(common[0][0])
        raise UserError(
            f"the images are of {len(sizes)} sizes, and a batch needs them alike",
            where=f"dataset.size=null; width x height (images): {listed}{rest}",
            allowed="null where all are alike; one number, or [height, width], in pixels",
            fix=f"dataset.size={side}",
        )


def _check_space(folder: Path, num_bytes: int) -> None:
    """Said before anything is decoded in vain."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise _full_disk(
            folder.parent, f"{num_bytes / 1e9:.1f} GB are needed, {free / 1e9:.1f} free"
        )


def _full_disk(folder: Path, reason: str) -> UserError:
    return UserError(
        "the disk is too full for the cache of decoded images",
        where=f"{folder}: {reason}",
        fix="free some space, or dataset.cache_dir=FOLDER on another disk",
    )


@contextlib.contextmanager
def _explain_full_disk(folder: Path) -> Iterator[None]:
    """A disk that fills up while the cache is written, by whomever."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _full_disk(folder, os.strerror(error.errno)) from error


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
