"""Data that no rule was tuned on: gratings, glyphs, blobs, boards, dots on moons, photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from damage import Images, in_splits
from images import Split, Splits
from written import Damage, make

Draw = Callable[[int, np.random.Generator], npt.NDArray[np.float64]]
SHARES = {"train": 1.0, "val": 0.4, "test": 0.2}


def drawn(draw: Draw, num_classes: int, per_class: int, seed: int) -> Splits:
    """So many of each class in train, fewer in the others; `draw` makes one of 0 to 255."""
    rng = np.random.default_rng(seed)
    splits = {}
    for name, share in SHARES.items():
        labels = rng.permutation(np.repeat(np.arange(num_classes), max(1, int(share * per_class))))
        images = np.stack([draw(label, rng) for label in labels])
        splits[name] = (images.clip(0, 255).astype(np.uint8), labels)
    return splits


def gratings(
    angles: int = 3, widths: int = 2, per_class: int = 80, size: int = 20, noise: float = 30.0
) -> Splits:
    """Stripes of some angle and width, whose phase says nothing: no pixel alone tells."""

    def draw(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        angle = np.pi * (label % angles) / angles
        pixels = 4.0 * 1.7 ** (label // angles)
        rows, columns = np.mgrid[:size, :size]
        along = rows * np.sin(angle) + columns * np.cos(angle)
        wave = np.sin(2 * np.pi * (along / pixels + rng.uniform()))
        return (128 + 70 * wave + rng.normal(0, noise, wave.shape))[..., None]

    return drawn(draw, angles * widths, per_class, 11)


def glyphs(letters: str = "ABCDEFGH", per_class: int = 60, size: int = 28) -> Splits:
    """Letters in grey, a little moved, of other ink and paper each time."""
    from PIL import Image, ImageDraw, ImageFont

    def draw(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        paper, ink = rng.integers(150, 256), rng.integers(0, 90)
        image = Image.new("L", (size, size), int(paper))
        font = ImageFont.load_default(int(size * rng.uniform(0.6, 0.85)))
        place = size / 2 + rng.uniform(-0.08, 0.08, 2) * size
        ImageDraw.Draw(image).text(tuple(place), letters[label], int(ink), font, anchor="mm")
        turned = image.rotate(rng.uniform(-8, 8), fillcolor=int(paper))
        return (np.asarray(turned) + rng.normal(0, 6, (size, size)))[..., None]

    return drawn(draw, len(letters), per_class, 12)


def blobs(
    num_classes: int = 5, per_class: int = 60, size: int = 16, noise: float = 20.0, jitter=0.05
) -> Splits:
    """Three coloured clouds whose places and colours are the class's own."""
    made = np.random.default_rng(13)
    places = made.uniform(0.15, 0.85, (num_classes, 3, 2))
    colours = made.uniform(-110, 110, (num_classes, 3, 3))
    rows, columns = np.mgrid[:size, :size] / size

    def draw(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        image = np.full((size, size, 3), 110.0)
        for place, colour in zip(places[label], colours[label], strict=True):
            down, across = place + rng.normal(0, jitter, 2)
            cloud = np.exp(-((rows - down) ** 2 + (columns - across) ** 2) / 0.03)
            image += cloud[..., None] * colour * rng.uniform(0.7, 1.2)
        return image + rng.normal(0, noise, image.shape)

    return drawn(draw, num_classes, per_class, 14)


def boards(num_classes: int = 4, per_class: int = 60, size: int = 32) -> Splits:
    """Checkerboards of fields of 2, 3, 5, 8 ... pixels, in any two colours, cut anywhere."""
    fields = (2, 3, 5, 8, 12)

    def draw(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        start = rng.integers(0, 2 * fields[label], 2)
        rows, columns = np.mgrid[:size, :size]
        odd = ((rows + start[0]) // fields[label] + (columns + start[1]) // fields[label]) % 2
        light, dark = rng.uniform(140, 250, 3), rng.uniform(0, 110, 3)
        return np.where(odd[..., None], light, dark) + rng.normal(0, 10, (size, size, 3))

    return drawn(draw, num_classes, per_class, 15)


def moons(per_class: int = 150, size: int = 16, noise: float = 0.09) -> Splits:
    """A dot where a point of one of two moons lies."""

    def draw(label: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
        angle = np.pi * rng.uniform()
        sign = 1 - 2 * label
        x = sign * np.cos(angle) + label + rng.normal(0, noise)
        y = sign * np.sin(angle) + 0.5 * label + rng.normal(0, noise)
        across, down = (x + 1.6) / 4.2 * size, (1.7 - y) / 3.4 * size
        rows, columns = np.mgrid[:size, :size] + 0.5
        dot = 230 * np.exp(-((rows - down) ** 2 + (columns - across) ** 2) / 2.5)
        return (dot + rng.normal(12, 5, dot.shape))[..., None]

    return drawn(draw, 2, per_class, 16)


def photographs(size: int = 32) -> Splits:
    """Tiles of two photographs, none twice: which is it from?"""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(17)
    parts: dict[str, list[Split]] = {"train": [], "val": [], "test": []}
    for label, photograph in enumerate(load_sample_images().images):
        rows, columns = photograph.shape[0] // size, photograph.shape[1] // size
        cut = photograph[: rows * size, : columns * size]
        tiles = cut.reshape(rows, size, columns, size, 3).swapaxes(1, 2).reshape(-1, size, size, 3)
        order = rng.permutation(len(tiles))
        for name, chosen in zip(parts, np.split(order, [180, 225]), strict=True):
            parts[name].append((tiles[chosen], np.full(len(chosen), label)))
    return {
        name: (np.concatenate([p for p, _ in each]), np.concatenate([t for _, t in each]))
        for name, each in parts.items()
    }


@dataclass(frozen=True)
class Keras:
    """A `Prepare` that leaves x_train, y_train, x_val ..., and text for labels where names are."""

    source: Callable[[], Splits]
    damages: Sequence[Damage] = ()
    names: Mapping[str, Sequence[str]] | None = None  # by split

    def __call__(self, folder: Path) -> Sequence[str]:
        arrays = {}
        for split, (images, labels) in make(self.source, self.damages).items():
            arrays[f"x_{split}"] = images
            arrays[f"y_{split}"] = (
                labels if self.names is None else np.array(self.names[split])[labels]
            )
        np.savez(folder / "set.npz", **arrays)
        return ["dataset=arrays", "dataset.images=set.npz"]


def of(source: Callable[..., Splits], *damages: Damage, **options: object) -> Keras:
    """A data set with these damages."""
    return Keras(lambda: source(**options), damages)


# Mistakes.


def sort_labels(names: Sequence[str]) -> Damage:
    """The table was sorted by label, the images were not."""
    return in_splits(names, lambda split, rng: (split[0], np.sort(split[1])))


def reverse_labels(names: Sequence[str]) -> Damage:
    """Read from the end."""
    return in_splits(names, lambda split, rng: (split[0], split[1][::-1].copy()))


def bury(names: Sequence[str]) -> Damage:
    """Cropped to where nothing of the object is: paper and noise are left."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images = split[0]
        corner = images[:, :3, :3].mean((1, 2), keepdims=True)
        return (corner + rng.normal(0, 6, images.shape)).clip(0, 255).astype(np.uint8), split[1]

    return in_splits(names, change)


def compress(images: Images) -> Images:
    """Saved as JPEG of middling quality, and read again."""
    from PIL import Image

    result = []
    for image in images:
        file = BytesIO()
        Image.fromarray(image.squeeze()).save(file, "JPEG", quality=85)
        result.append(np.asarray(Image.open(file)).reshape(image.shape))
    return np.stack(result)


def to_grey(images: Images) -> Images:
    """One reader opened them in grey, three times the same."""
    return images.mean(-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8)


def coarsen(images: Images) -> Images:
    """Made from thumbnails of a quarter of the size."""
    return images[:, ::4, ::4].repeat(4, axis=1).repeat(4, axis=2)


def upside_down(images: Images) -> Images:
    return images[:, ::-1].copy()


def brighten(images: Images) -> Images:
    return (images.astype(int) + 90).clip(0, 255).astype(np.uint8)


def with_alpha(images: Images) -> Images:
    """Four channels, the last of which is 255 everywhere."""
    return np.concatenate([images, np.full_like(images[..., :1], 255)], axis=-1)


def whiten_some(share: float) -> Damage:
    """Scans of an empty page."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images = split[0].copy()
        images[rng.random(len(images)) < share] = 255
        return images, split[1]

    return in_splits(("train", "val"), change)


def repeat_all(count: int, times: int) -> Damage:
    """Few images of a class that were copied until there were enough."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images, labels = split
        kept = np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)])
        rows = rng.permutation(np.tile(kept, times))
        return images[rows], labels[rows]

    return in_splits(("train",), change)
