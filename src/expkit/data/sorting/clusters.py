"""Clusters of images that are alike, where nobody has said what the classes are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from expkit.data.sorting.properties import PROPERTIES
from expkit.data.sorting.rules import Sorted, measure_property
from expkit.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.sorting.raw_images import RawImages

    Features = npt.NDArray[np.floating]

NUM_STARTS = 10
CELLS = 4  # a side, whose mean colours are part of the plain descriptors


def describe_plainly(raw: RawImages) -> Features:
    """The measured properties and the mean colours of 4 x 4 cells, each of mean 0 and std 1."""
    measured = [measure_property(raw, name, each) for name, each in PROPERTIES.items()]
    n, height, width, channels = raw.images_NHWC.shape
    cells = raw.images_NHWC.reshape(n, CELLS, height // CELLS, CELLS, width // CELLS, channels)
    colours = standardize(cells.mean((2, 4)).reshape(n, -1))
    # as much weight in all as one property has
    return np.concatenate(
        [standardize(np.stack(measured, axis=1)), colours / np.sqrt(colours.shape[1])], axis=1
    )


def standardize(features: Features) -> Features:
    """Columns of mean 0 and std 1; one that is the same everywhere is 0."""
    std = features.std(0)
    scaled: Features = (features - features.mean(0)) / np.where(std > 0, std, 1)
    return scaled


def sort_by_clusters(features: Features, num_clusters: int, seed: int, min_score: float) -> Sorted:
    """Number the clusters by size; images between two of them are unsure.

    The score is 1 less the ratio of the distances to the nearest centre and to the next one.
    """
    from sklearn.cluster import KMeans

    num_distinct = len(np.unique(features, axis=0))
    if num_distinct < num_clusters:
        raise UserError(
            f"{num_distinct} images that differ cannot make {num_clusters} clusters",
            where=f"--clusters {num_clusters}",
            fix=f"--clusters {num_distinct}" if num_distinct > 1 else None,
        )
    fitted = KMeans(num_clusters, n_init=NUM_STARTS, random_state=seed).fit(features)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=num_clusters), kind="stable")
    distances = fitted.transform(features)[:, order]
    nearest, second = np.sort(distances, axis=1)[:, :2].T
    scores = 1 - nearest / np.maximum(second, 1e-12)
    labels = distances.argmin(1)
    wide = len(str(num_clusters))
    names = [f"cluster_{place:0{wide}}" for place in range(1, num_clusters + 1)]
    is_sure = scores >= min_score
    reasons = [
        f"{near:.3g} from the centre, {far:.3g} from that of the next cluster"
        if sure
        else f"unsure: between {names[label]} and another cluster"
        for near, far, label, sure in zip(nearest, second, labels, is_sure, strict=True)
    ]
    return Sorted(names, np.where(is_sure, labels, -1), scores, reasons)
