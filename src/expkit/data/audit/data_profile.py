"""A profile of the data before anything is trained, from the images and labels alone.

It is bounded by an even part of each split, and says how many images it looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.data.audit.duplicates import find_duplicates, groups_of, has_image
from expkit.data.audit.image_stats import (
    ImageStats,
    grain_of,
    measure_images,
    spread_evenly,
    to_grey,
)
from expkit.data.audit.nearest_labels import classify_by_neighbours
from expkit.data.store.samples import Dataset

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.audit.image_stats import Floats, Indices

BYTES_PER_SECOND = 60e6  # of images, on one slow core; not a clock, so that profiles are equal
LISTED = 20  # names
MOST_REPEATED = 2000  # samples of a split that are looked at because another one is equal
NUM_DRAWS = 8  # of a part of train, to see how alike mean images are by chance
MOST_FOR_GRAIN = 300  # images of a split
# What undoes them, of an image H x W: readers that take rows for columns, or bottom for top.
SYMMETRIES: Mapping[str, Callable[[Floats], Floats]] = {
    "flipped left to right": lambda image: image[:, ::-1],
    "flipped upside down": lambda image: image[::-1],
    "turned by a half": lambda image: image[::-1, ::-1],
    "transposed": lambda image: image.T,
    "turned by a quarter": np.rot90,
    "turned by three quarters": lambda image: np.rot90(image, 3),
    "transposed along the other diagonal": lambda image: image[::-1, ::-1].T,
}
MOST_CLASSES = 1000  # whose counts are recorded here too


def profile_dataset(dataset: Dataset, *, max_seconds: float = 5.0) -> dict[str, Any]:
    """Figures of each split, duplicates, and what neighbours say of the labels, as plain values."""
    total = sum(len(samples) for samples in dataset.splits.values())
    image_bytes = int(np.prod(dataset.splits["train"].images.shape[1:]))
    fraction = min(1.0, max_seconds * BYTES_PER_SECOND / (total * image_bytes))
    repeated = _find_repeated(dataset)
    counts = {name: max(1, round(fraction * len(each))) for name, each in dataset.splits.items()}
    seen = {
        name: measure_images(samples, counts[name], repeated.get(name))
        for name, samples in sorted(dataset.splits.items(), key=lambda each: each[0] != "train")
    }
    # those that were looked at because another is equal would weigh too much in all but that
    stats = {
        name: each.select(
            np.flatnonzero(np.isin(each.chosen, spread_evenly(len(each.samples), counts[name])))
        )
        for name, each in seen.items()
    }
    has_classes = dataset.class_names is not None
    profile: dict[str, Any] = {
        "splits": {name: _describe(dataset, name, each) for name, each in stats.items()},
        "duplicates": find_duplicates(seen, has_classes=has_classes),
    }
    for name, samples in dataset.splits.items():
        # with all digests known, an equal image would have been found wherever it stands
        profile["splits"][name]["num_compared"] = len(samples) if repeated else counts[name]
    for name in stats:
        if name != "train":
            profile["splits"][name] |= _compare(stats["train"], stats[name])
    if dataset.class_names is not None:
        neighbours = classify_by_neighbours(stats, len(dataset.class_names))
        profile |= {"neighbours": neighbours} if neighbours else {}
    return profile


def _find_repeated(dataset: Dataset) -> dict[str, Indices]:
    """Samples whose digest another one has too, where a cache knows all digests at no cost."""
    digests = {
        name: samples.digests
        for name, samples in dataset.splits.items()
        if samples.digests is not None
    }
    if len(digests) < len(dataset.splits):
        return {}
    everything = np.concatenate([np.unique(each) for each in digests.values()])
    values, counts = np.unique(everything, return_counts=True)
    leaked = values[counts > 1]
    return {name: _leaked_first(each, leaked) for name, each in digests.items()}


def _leaked_first(digests: npt.NDArray[np.uint64], leaked: npt.NDArray[np.uint64]) -> Indices:
    """Samples that stand in another split too come before those repeated in their own."""
    _, inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)
    is_leaked = np.isin(digests, leaked)
    is_repeated = counts[inverse] > 1
    chosen = [np.flatnonzero(is_leaked), np.flatnonzero(is_repeated & ~is_leaked)]
    return np.concatenate([places[:MOST_REPEATED] for places in chosen])


def _describe(dataset: Dataset, name: str, seen: ImageStats) -> dict[str, Any]:
    counts = dataset.class_counts(name)
    means = seen.thumbnails.mean((1, 2), dtype=np.float64)  # n x C
    mean = means.mean(0)
    lowest, highest = seen.lowest.min(0), seen.highest.max(0)
    described: dict[str, Any] = {
        "num_samples": len(seen.samples),
        "num_looked_at": len(seen.chosen),
        "mean": mean.tolist(),
        "std": np.sqrt((seen.squares.mean(0) - mean**2).clip(0)).tolist(),
        "std_of_means": means.std(0).tolist(),  # over images: what a split's mean varies by
        "quartiles_of_means": np.percentile(means.mean(1), [25, 50, 75]).tolist(),
        "min": lowest.tolist(),
        "max": highest.tolist(),
        "num_levels": seen.num_levels,
        "grain": _quartiles_of_grain(seen),
        "constant_channels": np.flatnonzero(lowest == highest).tolist(),
        **_find_plain(seen),
    }
    if counts is not None and len(counts) <= MOST_CLASSES:
        described["class_counts"] = list(counts)
    return described


def _find_plain(seen: ImageStats) -> dict[str, Any]:
    """Images of one level throughout, and the image that stands most often."""
    plain = np.flatnonzero(~has_image(seen))
    found: dict[str, Any] = {
        "constant_images": {"count": len(plain), "names": seen.names(plain[:LISTED])},
        "num_distinct": len(np.unique(seen.digests)),
    }
    groups = groups_of(seen)
    if groups:
        found["most_repeated"] = {"count": len(groups[0]), "names": seen.names(groups[0][:LISTED])}
    return found


def _compare(train: ImageStats, other: ImageStats) -> dict[str, Any]:
    """Return how alike the mean images of two splits are: -1 where one is the other's negative."""
    ours, theirs = (to_grey(each.thumbnails).mean(0) for each in (train, other))
    errors = [
        float(to_grey(each.thumbnails).std(0).mean()) / np.sqrt(len(each.chosen))
        for each in (train, other)
    ]
    if min(ours.std(), theirs.std()) <= 5 * max(errors):
        return {}  # the mean images are flat, but for chance
    correlation = _correlate(ours, theirs)
    turned = {
        name: _correlate(ours, turn(theirs))
        for name, turn in SYMMETRIES.items()
        if turn(theirs).shape == ours.shape
    }
    best = max(turned, key=lambda name: turned[name])
    return {
        "least_correlation_by_chance": _correlation_by_chance(train, len(other.chosen)),
        "mean_image_correlation": correlation,
        "best_symmetry": {"name": best, "correlation": turned[best]},
    }


def _correlation_by_chance(train: ImageStats, count: int) -> float:
    """The least that mean images of random parts of train agree with those of the rest."""
    rng, images = np.random.default_rng(0), to_grey(train.thumbnails)
    count = min(count, len(images) // 2)
    orders = [rng.permutation(len(images)) for _ in range(NUM_DRAWS)]
    return min(_correlate(images[o[:count]].mean(0), images[o[count:]].mean(0)) for o in orders)


def _correlate(ours: Floats, theirs: Floats) -> float:
    return float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])


def _quartiles_of_grain(seen: ImageStats) -> list[float]:
    """The quartiles of the images' grain."""
    chosen = spread_evenly(len(seen.chosen), MOST_FOR_GRAIN)
    quartiles: list[float] = np.percentile(grain_of(seen.grey[chosen]), [25, 50, 75]).tolist()
    return quartiles
