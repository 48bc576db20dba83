"""Relates labels to pixels: the labels of the nearest images, before anything is trained.

Votes of neighbours tell three faults from hard data. Where the labels are unrelated, they are at
chance. Where some labels are wrong, two halves of the data agree on a sample's class, and its own
label departs from it as often where the vote is clear as elsewhere; in data that is merely hard a
clear vote is right. Where the held-out classes are numbered otherwise, another numbering of the
votes is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.data.audit.image_stats import ImageStats, spread_evenly

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.audit.image_stats import Floats, Indices

MOST_TRAINING, MOST_HELD_OUT = 3_000, 1_500  # samples
MOST_NEIGHBOURS = 10
LEAST_PER_CLASS = 8  # samples, on average: below, a vote has no other member of the class
MOST_SUSPECTS = 20  # samples by name, whose label departs from a clear vote
MOST_LISTED = 100  # classes whose recalls are recorded
NUM_FREQUENCIES = 16  # both ways, of images of 64 pixels a side at most
NUM_COMPONENTS = 40
LEAST_STRENGTH = 1e-6  # of a component, to the strongest


def classify_by_neighbours(
    stats: Mapping[str, ImageStats], num_classes: int
) -> dict[str, Any] | None:
    """Votes of the nearest training images, by the view of the images that tells more.

    None where there are too few images, or all are the same.
    """
    few = {
        name: spread_evenly(len(each.chosen), MOST_TRAINING if name == "train" else MOST_HELD_OUT)
        for name, each in stats.items()
    }
    targets = {name: each.targets[few[name]].astype(np.int64) for name, each in stats.items()}
    count = len(targets["train"])
    num_present = len(np.unique(targets["train"]))
    if num_present < 2 or count < LEAST_PER_CLASS * num_present:
        return None
    num_neighbours = int(np.clip(count // (4 * num_present), 3, MOST_NEIGHBOURS))
    found = [
        _ask(view, features, targets, num_classes, num_neighbours)
        for view, features in (
            ("thumbnails", {name: _flat(stats[name], few[name]) for name in stats}),
            ("spectrum", {name: _spectrum(stats[name], few[name]) for name in stats}),
        )
        if np.ptp(features["train"], axis=0).any()  # else no image is nearer than another
    ]
    if not found:
        return None
    best = max(found, key=lambda each: float(each["train"]["balanced_accuracy"]))
    suspects = np.array(best["train"].pop("suspects"), np.int64)
    best["suspects"] = stats["train"].names(few["train"][suspects])
    return best


def _flat(seen: ImageStats, places: Indices) -> Floats:
    return seen.thumbnails[places].reshape(len(places), -1)


def _spectrum(seen: ImageStats, places: Indices) -> Floats:
    """Return how strong each low frequency is: it knows textures, wherever they lie."""
    waves = np.abs(np.fft.rfft2(seen.grey[places]))[:, :NUM_FREQUENCIES, :NUM_FREQUENCIES]
    waves[:, 0, 0] = 0  # the mean, which the thumbnails know
    return np.log1p(waves).reshape(len(waves), -1).astype(np.float32)


def _ask(
    view: str,
    features: Mapping[str, Floats],
    targets: Mapping[str, Indices],
    num_classes: int,
    num_neighbours: int,
) -> dict[str, Any]:
    reduced = _reduce(features)
    known = reduced["train"]
    one_hot = np.eye(num_classes, dtype=np.float32)[targets["train"]]
    halves = (np.arange(0, len(known), 2), np.arange(1, len(known), 2))
    distances = _distances(known, known)
    np.fill_diagonal(distances, np.inf)
    whole = _vote(distances, one_hot, num_neighbours)
    first, second = (_vote(distances[:, half], one_hot[half], num_neighbours) for half in halves)
    found = {
        "view": view,
        "num_neighbours": num_neighbours,
        "train": {
            **_score(whole.argmax(1), targets["train"], num_classes),
            **_doubt(first, second, targets["train"]),
        },
    }
    for name in features:
        if name != "train":
            votes = _vote(_distances(reduced[name], known), one_hot, num_neighbours)
            found[name] = {
                **_score(votes.argmax(1), targets[name], num_classes),
                **_renumber(votes.argmax(1), targets[name], num_classes),
            }
    return found


def _reduce(features: Mapping[str, Floats]) -> dict[str, Floats]:
    """The leading components of the training features, the strong ones damped by half."""
    from scipy.linalg import eigh

    train = features["train"]
    mean = train.mean(0)
    centred = train - mean
    is_wide = len(train) < train.shape[1]  # the smaller of two products has the same strengths
    product = centred @ centred.T if is_wide else centred.T @ centred
    last = len(product) - 1
    first = max(0, last + 1 - NUM_COMPONENTS)
    strengths, directions = eigh(product / len(train), subset_by_index=[first, last])
    if is_wide:
        there = strengths > strengths[-1] * LEAST_STRENGTH  # the others are rounding alone
        strengths, directions = strengths[there], centred.T @ directions[:, there]
        directions /= np.linalg.norm(directions, axis=0)
    strengths, directions = strengths[::-1].clip(1e-12), directions[:, ::-1]
    scale = np.maximum(strengths, strengths[0] * 1e-4) ** -0.25
    return {name: (each - mean) @ (directions * scale) for name, each in features.items()}


def _distances(ours: Floats, known: Floats) -> Floats:
    squares: Floats = (
        (ours**2).sum(1)[:, None] + (known**2).sum(1)[None] - 2 * ours @ known.T
    ).astype(np.float32)
    return squares


def _vote(distances: Floats, one_hot: Floats, num_neighbours: int) -> Floats:
    """n x classes: how many of the nearest have each label."""
    count = min(num_neighbours, distances.shape[1] - 1)
    nearest = np.argpartition(distances, count, axis=1)[:, :count]
    votes: Floats = one_hot[nearest].sum(1)
    return votes


def _score(predictions: Indices, targets: Indices, num_classes: int) -> dict[str, Any]:
    counts = np.bincount(targets, minlength=num_classes)
    right = np.bincount(targets[predictions == targets], minlength=num_classes)
    present = counts > 0
    recalls = right[present] / counts[present]
    predicted = np.bincount(predictions, minlength=num_classes) / len(predictions)
    found: dict[str, Any] = {
        "num_samples": len(targets),
        "accuracy": float((predictions == targets).mean()),
        "balanced_accuracy": float(recalls.mean()),
        "majority": float(counts.max() / len(targets)),
        # what these predictions would score if they had nothing to do with the labels
        "unrelated": float(predicted @ counts / len(targets)),
        "least_recall": float(recalls.min()),
    }
    if num_classes <= MOST_LISTED:
        found["recalls"] = [float(r / c) if c else None for r, c in zip(right, counts, strict=True)]
    return found


def _doubt(first: Floats, second: Floats, targets: Indices) -> dict[str, Any]:
    """Return how often a label departs from what two halves of the data agree on."""
    predictions = first.argmax(1)
    agrees = np.flatnonzero(predictions == second.argmax(1))
    found: dict[str, Any] = {"agreement": len(agrees) / len(targets), "suspects": []}
    quarter = len(targets) // 4
    if len(agrees) < quarter:
        return found
    clearness = (first + second)[agrees, predictions[agrees]]
    clearest = agrees[np.argsort(-clearness, kind="stable")][:quarter]
    departs = predictions != targets
    return {
        **found,
        "num_clearest": quarter,
        "departing": float(departs[agrees].mean()),
        "departing_where_clearest": float(departs[clearest].mean()),
        "suspects": clearest[departs[clearest]][:MOST_SUSPECTS].tolist(),
    }


def _renumber(predictions: Indices, targets: Indices, num_classes: int) -> dict[str, Any]:
    """The best numbering of the votes on one half, judged on the other: fitted, it would flatter.

    Only classes that both halves move alike count as moved.
    """
    halves = [np.zeros(len(targets), bool), np.zeros(len(targets), bool)]
    for each in range(num_classes):
        members = np.flatnonzero(targets == each)
        halves[0][members[::2]] = True
        halves[1][members[1::2]] = True
    if min(np.bincount(targets[half], minlength=num_classes).min() for half in halves) < 2:
        return {}
    numberings = [_best_numbering(predictions[h], targets[h], num_classes) for h in halves]
    same = np.arange(num_classes)
    sure = np.where(numberings[0] == numberings[1], numberings[0], same)
    right = [
        (numbering[predictions[half]] == targets[half]).sum()
        for numbering, half in zip(numberings, reversed(halves), strict=True)
    ]
    return {
        "renumbered_accuracy": float(sum(right) / len(targets)),
        "moved": [[i, int(sure[i])] for i in np.flatnonzero(sure != same).tolist()],
    }


def _best_numbering(
    predictions: Indices, targets: Indices, num_classes: int
) -> npt.NDArray[np.int64]:
    """Find the label that each predicted class stands for, so that most predictions are right."""
    from scipy.optimize import linear_sum_assignment

    confusion = np.zeros((num_classes, num_classes))
    np.add.at(confusion, (predictions, targets), 1)
    confusion += np.eye(num_classes) * 1e-3  # of equally good numberings the one that is
    numbering: npt.NDArray[np.int64] = linear_sum_assignment(confusion, maximize=True)[1]
    return numbering
