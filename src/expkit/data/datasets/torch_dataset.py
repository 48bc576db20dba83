"""Map-style datasets of a user's own, as torch has them: read once into the store, as all are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le, Len

from expkit.data.store.cache import digest_of, same_size
from expkit.data.store.decoding import Decoding, UnreadableImageError, to_8_bits
from expkit.data.store.memory_limits import count_memory_bytes
from expkit.data.store.progress import ProgressCallback, with_progress
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.splitting import Selection, tell_made
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

WANTED = """a map-style Dataset: __len__, and __getitem__(index) that gives (image, label)
image: a PIL image, uint8 from 0 to 255 or float from 0 to 1, C x H x W as a tensor or H x W x C
label: a whole number from 0, or text"""
NUM_COMPARED = 4  # samples that are read twice: do they change from one reading to the next?
CHANNELS = {1: 2, 3: 2, 4: 1}  # how likely an axis of such a length is that of the channels


@dataclass(frozen=True, kw_only=True)
class OwnDataset(Selection):
    """One dataset, of which val and test are made by class and seed, or one for each split."""

    train: Any
    val: Any = None
    test: Any = None
    class_names: Sequence[str] | None = None
    size: Annotated[int, Ge(1)] | Annotated[Sequence[Annotated[int, Ge(1)]], Len(2, 2)] | None = (
        None
    )
    resize: Literal["crop", "squash"] = "crop"
    channels: Literal[1, 3] | None = None
    normalize: Normalization = "dataset"
    memory_fraction: Annotated[float, Ge(0), Le(1)] = 0.25

    def read(self, on_progress: ProgressCallback) -> Dataset:
        parts = {"train": self.train, "val": self.val, "test": self.test}
        parts = {split: part for split, part in parts.items() if part is not None}
        for split, part in parts.items():
            _check_kind(part, split)
        decoding = self._decoding(as_image(*_sample(self.train, "train", 0), "train", 0))
        remarks = list(_changing(self.train))
        images, labels = self._read_all(parts, decoding, on_progress)
        names, targets = self._encode(labels)
        digests = np.array([digest_of(image) for image in images], np.uint64)
        given, first = {}, 0
        for split, part in parts.items():
            rows = np.arange(first, first + len(part))
            first += len(part)
            samples = [f"{split}_{i:0{len(str(len(part)))}}" for i in range(len(part))]
            given[split] = Samples(images, targets[split], samples, rows, digests[rows])
        splits = self.divide(given, names)
        remarks += tell_made(given, splits)
        return Dataset(splits, self.normalize, class_names=names, remarks=remarks)

    def _decoding(self, first: Image.Image) -> Decoding:
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Decoding(
            size=None if size is None else (size[0], size[1]),
            resize=self.resize,
            channels=self.channels or (1 if first.mode in ("1", "L") else 3),
        )

    def _read_all(
        self, parts: Mapping[str, Any], decoding: Decoding, on_progress: ProgressCallback
    ) -> tuple[npt.NDArray[np.uint8], dict[str, list[Any]]]:
        labels: dict[str, list[Any]] = {split: [] for split in parts}
        indices = [(split, index) for split, part in parts.items() for index in range(len(part))]
        images: npt.NDArray[np.uint8] | None = None

        def decode() -> Any:
            for split, index in with_progress(indices, len(indices), on_progress):
                image, label = _sample(parts[split], split, index)
                labels[split].append(label)
                yield decoding.arrange(as_image(image, label, split, index))

        for row, pixels in enumerate(same_size(decode())):
            assert not isinstance(pixels, UnreadableImageError), "a sample that fails is refused"
            if images is None:
                self._check_memory(len(indices) * pixels.nbytes)
                images = np.empty((len(indices), *pixels.shape), np.uint8)
            if pixels.shape == images.shape[1:]:  # others are refused once they are counted
                images[row] = pixels
        assert images is not None, "every split was seen to have samples"
        return images, labels

    def _check_memory(self, num_bytes: int) -> None:
        if num_bytes > self.memory_fraction * count_memory_bytes():
            raise UserError(
                f"{num_bytes / 1e9:.1f} GB of images do not fit the fraction of the memory that "
                "they "
                "may take",
                where=f"dataset.memory_fraction={self.memory_fraction:g}",
                fix="write them as files once: dataset=image_folder and dataset=arrays map theirs",
            )

    def _encode(
        self, labels: Mapping[str, list[Any]]
    ) -> tuple[list[str], dict[str, npt.NDArray[np.int64]]]:
        """Class names, and class indices by split."""
        everything = [label for each in labels.values() for label in each]
        if all(isinstance(label, str) for label in everything):
            names = list(self.class_names or sorted(set(everything)))
            index = {name: place for place, name in enumerate(names)}
            unknown = sorted(set(everything) - set(names))
            if unknown:
                raise _wrong_labels(f"'{unknown[0]}' is not among the class_names", labels)
            return names, {s: np.array([index[n] for n in each]) for s, each in labels.items()}
        if not all(_is_whole(label) for label in everything):
            raise _wrong_labels("they are not all whole numbers, or all text", labels)
        targets = {
            split: np.array([int(n) for n in each], np.int64) for split, each in labels.items()
        }
        used = np.unique(np.concatenate(list(targets.values())))
        names = list(self.class_names or _class_names(self.train))
        if not names and len(used) <= int(used[-1]):
            raise _wrong_labels(f"of 0 to {used[-1]} only {len(used)} are in use", labels)
        names = names or [str(number) for number in range(int(used[-1]) + 1)]
        if used[0] < 0 or used[-1] >= len(names):
            raise _wrong_labels(
                f"they are from {used[0]} to {used[-1]}, and there are {len(names)} classes", labels
            )
        return names, targets


def _check_kind(part: Any, split: str) -> None:
    try:
        is_filled = len(part) > 0 and hasattr(part, "__getitem__")
        reason = "it is empty"
    except TypeError:
        is_filled, reason = False, "it has no length, and cannot be split or shuffled"
    if not is_filled:
        raise UserError(
            f"the dataset cannot be used: {reason}",
            where=f"dataset, split {split}: {type(part).__name__}",
            allowed=WANTED,
        )


def _sample(part: Any, split: str, index: int) -> tuple[Any, Any]:
    try:
        sample = part[index]
    except Exception as error:
        raise UserError(
            f"the dataset fails at sample {index} of {split}: {error or type(error).__name__}",
            where=f"dataset: {type(part).__name__}.__getitem__({index})",
            fix="EXPKIT_TRACEBACK=1 expkit train ...   (shows where)",
        ) from error
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise _wrong_sample(split, index, f"it gives a {type(sample).__name__}, and not a pair")
    label = sample[1]
    return sample[0], label.item() if hasattr(label, "item") and _size(label) == 1 else label


def _size(value: Any) -> int:
    size = getattr(value, "size", None)
    return int(value.numel()) if callable(size) else int(size or 0)


def as_image(image: Any, label: Any, split: str, index: int) -> Image.Image:
    """An image of any of the usual kinds as Pillow has it, in 8 bits."""
    from PIL import Image

    if isinstance(image, Image.Image):
        return to_8_bits(image)
    is_tensor = hasattr(image, "detach")
    pixels = np.asarray(image.detach().cpu() if is_tensor else image)
    if pixels.ndim == 2:
        pixels, is_tensor = pixels[..., None], False
    if pixels.ndim != 3 or pixels.dtype.kind not in "buif":
        raise _wrong_sample(split, index, f"its image is {pixels.dtype} {pixels.shape}")
    first, last = (CHANNELS.get(pixels.shape[axis], 0) for axis in (0, -1))
    if not first and not last:
        raise _wrong_sample(split, index, f"its image has shape {pixels.shape}")
    if first > last or (first == last and is_tensor):
        pixels = pixels.transpose(1, 2, 0)
    white = 1 if pixels.dtype.kind in "bf" else 255
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= white):
        raise _wrong_sample(
            split,
            index,
            f"its values are {pixels.dtype} from {low:.3g} to {high:.3g}",
            fix="take Normalize out of its transforms: dataset.normalize does that",
        )
    pixels = pixels.astype(np.float64) * (255 / white)
    levels = np.ascontiguousarray(pixels.round().astype(np.uint8))
    return Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels)


def _wrong_sample(split: str, index: int, what: str, fix: str | None = None) -> UserError:
    return UserError(
        f"sample {index} of the dataset is no image with a label: {what}",
        where=f"dataset, split {split}",
        allowed=WANTED,
        fix=fix,
    )


def _wrong_labels(what: str, labels: Mapping[str, list[Any]]) -> UserError:
    first = ", ".join(repr(label) for label in next(iter(labels.values()))[:5])
    return UserError(
        f"the labels are no classes: {what}",
        where=f"dataset, split train, the first labels: {first}",
        allowed="whole numbers from 0 to C - 1, or text; dataset.class_names names them",
    )


def _is_whole(label: Any) -> bool:
    return isinstance(label, int | np.integer)


def _class_names(part: Any) -> list[str]:
    """The names that a dataset, or the one that it is a subset of, gives its classes."""
    by_name = getattr(part, "class_to_idx", None)
    if isinstance(by_name, Mapping):
        return [str(name) for name in sorted(by_name, key=lambda name: by_name[name])]
    names = getattr(part, "classes", None)
    if isinstance(names, list | tuple):
        return [str(name) for name in names]
    inner = getattr(part, "dataset", None)
    return [] if inner is None else _class_names(inner)


def _changing(part: Any) -> list[str]:
    """A remark where samples change from one reading to the next: the store keeps the first."""
    for index in range(min(NUM_COMPARED, len(part))):
        once, twice = (
            np.asarray(as_image(*_sample(part, "train", index), "train", index)) for _ in range(2)
        )
        if once.shape != twice.shape or not np.array_equal(once, twice):
            return [
                "the dataset's samples change from one reading to the next, and are kept as they "
                "are read first: augmentation belongs into augment, which draws anew every epoch"
            ]
    return []
