"""What becomes of each image that was sorted: its class, its split, or why it is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from expkit.data.store.label_table import SET_ASIDE
from expkit.errors import UserError

if TYPE_CHECKING:
    from expkit.data.sorting.raw_images import RawImages
    from expkit.data.sorting.rules import Sorted

COLUMNS = ("path", "label", "split", "score", "reason")
SPLITS = ("train", "val", "test")
ASIDE = SET_ASIDE[0]


@dataclass(frozen=True)
class Entry:
    """One image; without a label it is set aside."""

    path: Path
    label: str
    split: str
    score: float | None
    reason: str
    row: int | None  # among the images that were read

    @property
    def is_aside(self) -> bool:
        return self.split == ASIDE


def make_manifest(
    raw: RawImages,
    found: Sorted,
    *,
    per_class: int | None,
    fractions: Sequence[float],
    seed: int,
) -> list[Entry]:
    """Balance and split the classes, and list all images by path."""
    _check_classes(found, per_class, len(raw))
    rng = np.random.default_rng(seed)
    split_of: dict[int, str] = {}
    surplus: set[int] = set()
    for place, name in enumerate(found.class_names):
        members = np.flatnonzero(found.classes == place)
        surest = members[np.argsort(-found.scores[members], kind="stable")]
        chosen = surest[:per_class]
        surplus |= set(surest[len(chosen) :].tolist())
        counts = count_splits(len(chosen), fractions)
        if min(counts) == 0:
            fewest = np.bincount(found.classes[found.classes >= 0]).min()
            raise _too_few(name, len(chosen), fractions, min(fewest, per_class or fewest))
        shuffled = rng.permutation(np.sort(chosen)).tolist()
        names = [split for split, count in zip(SPLITS, counts, strict=False) for _ in range(count)]
        split_of |= dict(zip(shuffled, names, strict=True))
    entries = [Entry(path, "", ASIDE, None, why, None) for path, why in raw.left_out.items()]
    for row, path in enumerate(raw.paths):
        label = found.class_names[found.classes[row]] if row in split_of else ""
        reason = found.reasons[row]
        if row in surplus:
            reason = f"more than {per_class} of {found.class_names[found.classes[row]]}: {reason}"
        split = split_of.get(row, ASIDE)
        entries.append(Entry(path, label, split, float(found.scores[row]), reason, row))
    return sorted(entries, key=lambda entry: entry.path)


def count_splits(count: int, fractions: Sequence[float]) -> list[int]:
    """Whole numbers that sum to the count: fractions rounded down, the rest to the most cut."""
    exact = [round(fraction * count, 9) for fraction in fractions]
    counts = [int(number) for number in exact]
    most_cut = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in most_cut[: count - sum(counts)]:
        counts[place] += 1
    return counts


def _check_classes(found: Sorted, per_class: int | None, num_images: int) -> None:
    """Refuse classes without images, and more of each than there are."""
    counts = np.bincount(found.classes[found.classes >= 0], minlength=len(found.class_names))
    told = ", ".join(f"{n} {count}" for n, count in zip(found.class_names, counts, strict=True))
    unsure = int((found.classes < 0).sum())
    where = f"of {num_images} images: {told}, unsure {unsure}"
    empty = [name for name, count in zip(found.class_names, counts, strict=True) if not count]
    if empty:
        raise UserError(
            f"no image is of the class {', '.join(empty)}",
            where=where,
            fix="loosen the conditions of the class, or leave it out",
        )
    if per_class is not None and per_class > counts.min():
        raise UserError(
            f"there are not {per_class} images of every class",
            where=f"--per-class {per_class}; {where}",
            allowed=f"at most {counts.min()}",
            fix=f"--per-class {counts.min()}",
        )


def _too_few(name: str, count: int, fractions: Sequence[float], fewest: int) -> UserError:
    """Refuse to split a class, and offer splits for which the smallest class has enough."""
    two = "--split 0.8,0.2   (train and val alone), or "
    has_two = len(fractions) > 2 and min(count_splits(fewest, (0.8, 0.2))) > 0
    return UserError(
        f"{count} images of {name} are too few for {len(fractions)} splits",
        where=f"--split {','.join(f'{fraction:g}' for fraction in fractions)}",
        allowed="an image of each class in each split",
        fix=f"{two if has_two else ''}--split 1   (train alone)",
    )
