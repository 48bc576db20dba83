"""What goes wrong with data: each takes the splits and gives them back damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from images import Split, Splits
from written import Damage

Images = npt.NDArray[np.uint8]


def in_splits(
    names: Sequence[str], change: Callable[[Split, np.random.Generator], Split]
) -> Damage:
    """Change these splits and leave the others."""

    def damage(splits: Splits) -> Splits:
        rng = np.random.default_rng(1)
        return {n: change(s, rng) if n in names else s for n, s in splits.items()}

    return damage


ALL = ("train", "val", "test")
HELD_OUT = ("val", "test")


# Labels.


def shuffle_labels(names: Sequence[str]) -> Damage:
    return in_splits(names, lambda split, rng: (split[0], rng.permutation(split[1])))


def roll_labels(names: Sequence[str], by: int = 1) -> Damage:
    """A table that lost a line: each image has the label of the one before."""
    return in_splits(names, lambda split, rng: (split[0], np.roll(split[1], by)))


def mislabel(share: float, names: Sequence[str] = ("train",)) -> Damage:
    """A share of the labels is another class, drawn evenly."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images, labels = split
        num_classes = int(labels.max()) + 1
        wrong = rng.random(len(labels)) < share
        others = (labels + rng.integers(1, num_classes, len(labels))) % num_classes
        return images, np.where(wrong, others, labels)

    return in_splits(names, change)


def confuse(first: int, second: int, share: float) -> Damage:
    """One annotator took one class for another."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images, labels = split
        wrong = (labels == first) & (rng.random(len(labels)) < share)
        return images, np.where(wrong, second, labels)

    return in_splits(("train",), change)


def renumber(names: Sequence[str], order: Sequence[int]) -> Damage:
    """Another class map: as where folders were listed in another order."""
    return in_splits(names, lambda split, rng: (split[0], np.asarray(order)[split[1]]))


def drop_classes(names: Sequence[str], classes: Sequence[int]) -> Damage:
    def change(split: Split, rng: np.random.Generator) -> Split:
        kept = ~np.isin(split[1], classes)
        return split[0][kept], split[1][kept]

    return in_splits(names, change)


def only_one_class(splits: Splits) -> Splits:
    """A column of the table that was never filled in."""
    return {name: (images, np.zeros_like(labels)) for name, (images, labels) in splits.items()}


# Counts.


def thin_out(shares: Sequence[float], names: Sequence[str] = ALL) -> Damage:
    """Keep a share of each class, two samples at least."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images, labels = split
        chosen = []
        for label in np.unique(labels):
            members = rng.permutation(np.flatnonzero(labels == label))
            count = max(2, round(shares[label] * len(members)))
            chosen.append(members[:count])
        rows = np.sort(np.concatenate(chosen))
        return images[rows], labels[rows]

    return in_splits(names, change)


def keep_first(count: int, names: Sequence[str] = ("train",)) -> Damage:
    """So many of each class."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images, labels = split
        kept = np.concatenate([np.flatnonzero(labels == c)[:count] for c in np.unique(labels)])
        return images[np.sort(kept)], labels[np.sort(kept)]

    return in_splits(names, change)


def repeat_class(which: int, times: int) -> Damage:
    """Training samples of a class that stand there several times."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        extra = np.tile(np.flatnonzero(split[1] == which), times - 1)
        rows = rng.permutation(np.concatenate([np.arange(len(split[1])), extra]))
        return split[0][rows], split[1][rows]

    return in_splits(("train",), change)


def leak(share: float, change: Callable[[Images], Images] = lambda images: images) -> Damage:
    """A share of the training samples stands in the held-out splits too, or nearly so."""

    def damage(splits: Splits) -> Splits:
        images, labels = splits["train"]
        rng = np.random.default_rng(2)
        leaked = {}
        for name in HELD_OUT:
            count = int(share * len(splits[name][1]))
            rows = rng.choice(len(labels), count, replace=False)
            mine_images, mine_labels = (each.copy() for each in splits[name])
            mine_images[:count], mine_labels[:count] = change(images[rows]), labels[rows]
            leaked[name] = (mine_images, mine_labels)
        return {**splits, **leaked}

    return damage


def contradict(share: float) -> Damage:
    """A share of the training images stands there twice, with two labels."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images, labels = split
        rows = rng.choice(len(labels), int(share * len(labels)), replace=False)
        others = (labels[rows] + 1) % (labels.max() + 1)
        return np.concatenate([images, images[rows]]), np.concatenate([labels, others])

    return in_splits(("train",), change)


# Images.


def change_images(names: Sequence[str], change: Callable[[Images], Images]) -> Damage:
    return in_splits(names, lambda split, rng: (change(split[0]), split[1]))


def add_noise(names: Sequence[str], spread: float) -> Damage:
    def change(split: Split, rng: np.random.Generator) -> Split:
        noisy = split[0] + rng.normal(0, spread, split[0].shape)
        return noisy.clip(0, 255).astype(np.uint8), split[1]

    return in_splits(names, change)


def only_noise(splits: Splits) -> Splits:
    """Images without any information."""
    rng = np.random.default_rng(3)
    return {
        name: (rng.integers(0, 256, images.shape).astype(np.uint8), labels)
        for name, (images, labels) in splits.items()
    }


def blacken(share: float, names: Sequence[str] = ALL) -> Damage:
    """Files that could not be decoded and became black images."""

    def change(split: Split, rng: np.random.Generator) -> Split:
        images = split[0].copy()
        images[rng.random(len(images)) < share] = 0
        return images, split[1]

    return in_splits(names, change)


def fill_channel(channel: int, value: int) -> Callable[[Images], Images]:
    def change(images: Images) -> Images:
        filled = images.copy()
        filled[..., channel] = value
        return filled

    return change


def to_unit_range(images: Images) -> Images:
    """Divided by 255, then saved as bytes: 0 and 1 are left."""
    return np.asarray(images / 255 > 0.5).astype(np.uint8)


def invert(images: Images) -> Images:
    return 255 - images


def darken(images: Images) -> Images:
    return (images * 0.25).astype(np.uint8)


def swap_colours(images: Images) -> Images:
    return images[..., ::-1]


def turn(images: Images) -> Images:
    """Rotated by a quarter: as where one reader transposes."""
    return np.rot90(images, axes=(1, 2)).copy()


def nudge(images: Images) -> Images:
    """Saved again with other compression: a grey level here and there."""
    rng = np.random.default_rng(4)
    return (images + rng.normal(0, 2.0, images.shape)).clip(0, 255).astype(np.uint8)


def blur(images: Images) -> Images:
    """Slightly, as after resizing there and back."""
    padded = np.pad(images.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = 0.15 * padded[:, :-2] + 0.7 * padded[:, 1:-1] + 0.15 * padded[:, 2:]
    mixed = 0.15 * rows[:, :, :-2] + 0.7 * rows[:, :, 1:-1] + 0.15 * rows[:, :, 2:]
    return mixed.round().astype(np.uint8)
