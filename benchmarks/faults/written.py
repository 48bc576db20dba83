"""Preparing a case: splits are made, damaged, and written into the folder where the run starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from images import SHAPES, Splits

Damage = Callable[[Splits], Splits]


@dataclass(frozen=True)
class Arrays:
    """A `Prepare` that leaves data.npz."""

    source: Callable[[], Splits]
    damages: Sequence[Damage] = ()

    def __call__(self, folder: Path) -> Sequence[str]:
        splits = make(self.source, self.damages)
        arrays = {}
        for name, (images, labels) in splits.items():
            arrays |= {f"{name}_images": images, f"{name}_labels": labels}
        np.savez(folder / "data.npz", **arrays)
        return ["dataset=arrays", "dataset.images=data.npz"]


@dataclass(frozen=True)
class Folder:
    """A `Prepare` that leaves images/SPLIT/CLASS/*.png."""

    source: Callable[[], Splits]
    damages: Sequence[Damage] = ()

    def __call__(self, folder: Path) -> Sequence[str]:
        from PIL import Image

        for split, (images, labels) in make(self.source, self.damages).items():
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                place = folder / "images" / split / SHAPES[label]
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.squeeze()).save(place / f"{number:04}.png")
        return ["dataset=image_folder", "dataset.root=images", "dataset.cache_dir=cache"]


def make(source: Callable[[], Splits], damages: Sequence[Damage]) -> Splits:
    splits = source()
    for damage in damages:
        splits = damage(splits)
    return splits


def digits_as(*damages: Damage) -> Arrays:
    """The digits with these damages."""
    from images import digits

    return Arrays(digits, damages)


def shapes_as(*damages: Damage) -> Arrays:
    """The shapes with these damages."""
    from images import shapes

    return Arrays(shapes, damages)


def shape_files_as(*damages: Damage) -> Folder:
    """The shapes as image files."""
    from images import shapes

    return Folder(shapes, damages)
