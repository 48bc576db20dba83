"""Training samples of one run that stand in other data: byte for byte, and as near copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.data.audit.data_profile import BYTES_PER_SECOND
from expkit.data.audit.duplicates import LISTED
from expkit.data.audit.image_stats import measure_images, read_chunks
from expkit.data.audit.near_duplicates import count_within, find_near_copies
from expkit.data.store.cache import digest_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.store.samples import Samples

    Digests = npt.NDArray[np.uint64]
    Pairs = list[tuple[str, str, float]]

OTHER = "other/"  # before the names of the splits that are searched, one of which may be train


def find_leaks(
    trained: Mapping[str, Samples], others: Mapping[str, Samples], *, max_seconds: float = 5.0
) -> dict[str, dict[str, Any]]:
    """Search each split of other data for training samples of the run that had `trained`.

    Equal ones are found wherever they stand; near copies among as many as the time allows.
    The first pairs are named; `within` counts the near copies within the training samples, against
    which those found are judged; `part_of` is the run's held-out split that has all the samples.
    """
    if not others:
        return {}
    digests = {name: digests_of(each) for name, each in trained.items()}
    ours = {name: digests_of(each) for name, each in others.items()}
    exact = {
        name: _find_equal(each, ours[name], trained["train"], digests["train"])
        for name, each in others.items()
    }
    near, within = _find_near(trained["train"], others, exact, max_seconds)
    held_out = [name for name in trained if name != "train"]
    return {
        name: {
            "exact": len(exact[name]),
            "near": len(near[name]),
            "within": within,
            "pairs": [*exact[name], *near[name]][:LISTED],
            "part_of": next((s for s in held_out if np.isin(ours[name], digests[s]).all()), None),
        }
        for name in others
    }


def digests_of(samples: Samples) -> Digests:
    """The digest of each sample's image, hashed where no cache has it."""
    if samples.digests is not None:
        return samples.digests
    chunks = read_chunks(samples, np.arange(len(samples)))
    return np.array([digest_of(each) for chunk in chunks for each in chunk], np.uint64)


def _find_equal(samples: Samples, digests: Digests, train: Samples, known: Digests) -> Pairs:
    """Pair equal images; two of one level throughout are no copies of each other."""
    values, first = np.unique(known, return_index=True)
    places = np.flatnonzero(np.isin(digests, values))
    if not len(places):
        return []
    varies = [
        bool(np.any(each != each[:1, :1])) for part in read_chunks(samples, places) for each in part
    ]
    pairs = []
    for place in places[np.array(varies)].tolist():
        there = int(first[np.searchsorted(values, digests[place])])
        pairs.append((samples.names[place], train.names[there], 1.0))
    return pairs


def _find_near(
    train: Samples, others: Mapping[str, Samples], exact: Mapping[str, Pairs], max_seconds: float
) -> tuple[dict[str, Pairs], dict[str, Any]]:
    """Near copies by split, without those found equal, and how many train has within itself."""
    every = {"train": train, **{f"{OTHER}{name}": each for name, each in others.items()}}
    num_bytes = sum(len(each) for each in every.values()) * int(np.prod(train.images.shape[1:]))
    fraction = min(1.0, max_seconds * BYTES_PER_SECOND / num_bytes)
    stats = {
        name: measure_images(each, max(1, round(fraction * len(each))))
        for name, each in every.items()
    }
    equal = {name: {pair[0] for pair in pairs} for name, pairs in exact.items()}
    near: dict[str, Pairs] = {name: [] for name in others}
    for pair in find_near_copies(stats):
        name = pair.split.removeprefix(OTHER)
        if pair.name not in equal[name]:
            near[name].append((pair.name, pair.other_name, pair.alike))
    within = count_within(stats["train"]) if any(near.values()) else {}
    return near, within
