"""Images that stand twice in the data: byte for byte, and as a copy that was encoded anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.data.audit.image_stats import ImageStats
from expkit.data.audit.near_duplicates import Pair, count_within, find_near_copies

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.audit.image_stats import Indices

LISTED = 200  # pairs or groups by name; all are counted


def find_duplicates(stats: Mapping[str, ImageStats], *, has_classes: bool) -> dict[str, Any]:
    """Find images that occur twice: across splits (near copies too), in one, with two labels."""
    exact = _exact_across(stats)
    pairs = [*(pair for pair, _ in exact), *find_near_copies(stats)]
    found: dict[str, Any] = {
        "across": {
            "count": len({(pair.split, pair.name) for pair in pairs}),
            "exact": sum(pair.alike == 1 for pair in pairs),
            "near": sum(pair.alike < 1 for pair in pairs),
            "pairs": [list(vars(pair).values()) for pair in pairs[:LISTED]],
        },
        "within": {name: _within(each) for name, each in stats.items()},
    }
    if found["across"]["near"]:
        found["near_within"] = count_within(stats["train"])
    if has_classes:
        found["conflicting"] = _conflicting(stats["train"])
        conflicts = [
            [
                [pair.split, pair.name, int(ours)],
                [pair.other_split, pair.other_name, int(theirs)],
            ]
            for pair, (ours, theirs) in exact
            if ours != theirs
        ]
        found["across"]["conflicting"] = {"count": len(conflicts), "pairs": conflicts[:LISTED]}
    return found


def has_image(seen: ImageStats) -> npt.NDArray[np.bool_]:
    """Not one level throughout: two black images are no duplicates of each other."""
    varies: npt.NDArray[np.bool_] = np.any(seen.lowest < seen.highest, axis=1)
    return varies


def groups_of(seen: ImageStats) -> list[Indices]:
    """Places of images with equal bytes, largest group first."""
    places = np.flatnonzero(has_image(seen))
    _, group, count = np.unique(seen.digests[places], return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(count > 1)
    ordered = repeated[np.argsort(-count[repeated], kind="stable")]
    return [places[group == each] for each in ordered.tolist()]


def _within(seen: ImageStats) -> dict[str, Any]:
    groups = groups_of(seen)
    return {
        "count": sum(len(each) - 1 for each in groups),
        "groups": [seen.names(each[:20]) for each in groups[:LISTED]],
    }


def _conflicting(seen: ImageStats) -> dict[str, Any]:
    groups = [each for each in groups_of(seen) if len(np.unique(seen.targets[each])) > 1]
    return {
        "count": sum(len(each) for each in groups),
        "groups": [
            list(zip(seen.names(each), seen.targets[each].tolist(), strict=True))[:20]
            for each in groups[:LISTED]
        ],
    }


def _exact_across(stats: Mapping[str, ImageStats]) -> list[tuple[Pair, tuple[Any, Any]]]:
    """Each held-out sample once, with the first sample of an earlier split that is its equal.

    Beside the pair stand its two targets, which mean something where they are classes.
    """
    first: dict[int, tuple[str, int]] = {}
    pairs = []
    for split, seen in stats.items():
        places = np.flatnonzero(has_image(seen))
        digests = seen.digests[places].tolist()
        for place, digest in zip(places.tolist(), digests, strict=True):
            if digest in first:
                other, there = first[digest]
                (name,), (other_name,) = (
                    seen.names(np.array([place])),
                    stats[other].names(np.array([there])),
                )
                targets = seen.targets[place], stats[other].targets[there]
                pairs.append((Pair(split, name, other, other_name, 1.0), targets))
        for place, digest in zip(places.tolist(), digests, strict=True):
            first.setdefault(digest, (split, place))
    return pairs
