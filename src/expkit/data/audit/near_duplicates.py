"""Copies of training images that are not equal in their bytes: encoded anew, brighter, moved.

Thumbnails and their spectra name a few likely twins for each held-out image; then the fine
detail of both, which another image of the same thing does not share, is correlated over small
shifts. How alike the likely twins of this data are that are no copies sets the bound: half of all
cherries agree by 0.8 in their detail, and no two scans by 0.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from expkit.data.audit.copy_proof import are_copies
from expkit.data.audit.image_stats import ImageStats, read_chunks, shrink, spread_evenly, to_grey

if TYPE_CHECKING:
    from expkit.data.audit.image_stats import Floats, Indices

MOST_TRAINING, MOST_HELD_OUT = 20_000, 3_000  # images compared for nearness
COARSE_SIDE = 8  # pixels: a shift by two of 32 moves a quarter of such a pixel
LIKELY_TWINS = 3  # a held-out image and description; so that most of them are no copies
HALVED_FROM = 48  # pixels: smaller images have no detail left at half their size
LEAST_SIDE = 16  # pixels: below, two images of a thing agree as much as two copies
LEAST_DETAIL = 1.5  # levels of 255: below, detail is rounding
NUM_TYPICAL = 300  # training images whose likely twins say how alike such are
NUM_WITHIN = 600  # training images that are asked for copies in train
MOST_CONFIRMED = 300  # pairs at once, while some of them are likely
MOST_LOOKS = 10  # of so many pairs: of all that are alike in every edge, few may be copies
# A copy's detail departs at most an eighth as much as that of typical likely twins: measured on
# copies (JPEG at 50 and 75 %, brightness, noise, shifts, 70 % of the size) against the rest in
# cherries, scans, digits and pieces of a photograph.
DEPARTURE = 0.125


@dataclass(frozen=True)
class Pair:
    """Two samples with one image: `alike` is 1 where the bytes are equal."""

    split: str
    name: str
    other_split: str
    other_name: str
    alike: float


def find_near_copies(stats: Mapping[str, ImageStats]) -> list[Pair]:
    """Copies of training images in other splits that are not equal in their bytes."""
    train = stats["train"]
    if min(train.samples.images.shape[1:3]) < LEAST_SIDE:
        return []
    held_out = {name: each for name, each in stats.items() if name != "train"}
    total = sum(len(each.chosen) for each in held_out.values())
    pairs = []
    for name, each in held_out.items():
        count = max(1, MOST_HELD_OUT * len(each.chosen) // total)
        pairs += _copies(train, name, each, spread_evenly(len(each.chosen), count))
    return pairs


def _copies(train: ImageStats, split: str, held_out: ImageStats, places: Indices) -> list[Pair]:
    known = set(train.digests.tolist())
    new = np.array([each not in known for each in held_out.digests[places].tolist()], bool)
    ours, theirs = _likely_twins(held_out, places[new], train)
    if not len(ours):
        return []
    confirmed = _confirm(held_out, ours, train, theirs)
    best: dict[int, tuple[float, int]] = {}
    for here, there, alike in confirmed:
        best[here] = max(best.get(here, (0.0, -1)), (alike, there))
    return [
        Pair(
            split,
            held_out.names(np.array([here]))[0],
            "train",
            train.names(np.array([there]))[0],
            min(round(alike, 4), 0.9999),
        )
        for here, (alike, there) in sorted(best.items())
    ]


def count_within(train: ImageStats) -> dict[str, Any]:
    """Return how many training images have a near copy in train: as where all are merely alike."""
    if min(train.samples.images.shape[1:3]) < LEAST_SIDE:
        return {}
    places = spread_evenly(len(train.chosen), NUM_WITHIN)
    ours, theirs = _likely_twins(train, places, train, LIKELY_TWINS + 1)  # the first is itself
    differ = train.digests[ours] != train.digests[theirs]
    found = _confirm(train, ours[differ], train, theirs[differ]) if differ.any() else []
    return {"asked": len(places), "count": len({here for here, _, _ in found})}


def _likely_twins(
    seen: ImageStats, places: Indices, train: ImageStats, few: int = LIKELY_TWINS
) -> tuple[Indices, Indices]:
    """For each image the few training images most like it: as it lies, or wherever it lies."""
    candidates = spread_evenly(len(train.chosen), MOST_TRAINING)
    candidates, wanted = _with_structure(train, candidates), _with_structure(seen, places)
    pairs: set[tuple[int, int]] = set()
    if len(wanted) and len(candidates):
        for describe in (_coarse, _spectrum):
            nearest = _nearest(describe(seen, wanted), describe(train, candidates), few)
            ours = np.repeat(wanted, nearest.shape[1])
            pairs |= set(zip(ours.tolist(), candidates[nearest].ravel().tolist(), strict=True))
    ordered = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return ordered[:, 0], ordered[:, 1]


def _nearest(ours: Floats, theirs: Floats, few: int) -> Indices:
    """n x few places of the highest products, a block of ours at a time."""
    few = min(few, len(theirs))
    nearest = []
    for start in range(0, len(ours), 256):
        alike = ours[start : start + 256] @ theirs.T
        nearest.append(np.argpartition(alike, -few, axis=1)[:, -few:])
    return np.concatenate(nearest)


def _with_structure(seen: ImageStats, places: Indices) -> Indices:
    chosen: Indices = places[to_grey(seen.thumbnails[places]).std((1, 2)) > LEAST_DETAIL]
    return chosen


def _coarse(seen: ImageStats, places: Indices) -> Floats:
    """n x 64, of mean 0 and length 1: products are correlations."""
    return _unit(shrink(to_grey(seen.thumbnails[places])[..., None], COARSE_SIDE))


def _spectrum(seen: ImageStats, places: Indices) -> Floats:
    """n x 144, how strong each wave is: an image that was moved keeps it."""
    return _unit(np.abs(np.fft.rfft2(to_grey(seen.thumbnails[places]))).astype(np.float32))


def _unit(images: Floats) -> Floats:
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(1, keepdims=True)
    scaled: Floats = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return scaled


def _confirm(
    seen: ImageStats, ours: Indices, train: ImageStats, theirs: Indices
) -> list[tuple[int, int, float]]:
    """The pairs whose detail agrees far better than that of this data's likely twins.

    A quick look at all pairs says how alike those are, and which pairs are worth the costly one.
    Then colour and grain must agree: two drawings of one thing may agree in every edge.
    """
    quick = _quick_look(seen, ours, train, theirs)
    typical = max(float(np.median(quick)), _typical_likeness(train))
    bound = 1 - DEPARTURE * (1 - typical)
    order = np.argsort(-quick, kind="stable")
    confirmed: list[tuple[int, int, float]] = []
    for start in range(0, min(len(order), MOST_LOOKS * MOST_CONFIRMED), MOST_CONFIRMED):
        part = order[start : start + MOST_CONFIRMED]
        alike = _close_look(seen, ours[part], train, theirs[part])
        likely = np.flatnonzero(alike > bound)
        found = likely[_are_copies(seen, ours[part[likely]], train, theirs[part[likely]])].tolist()
        confirmed += [(int(ours[part[i]]), int(theirs[part[i]]), float(alike[i])) for i in found]
        if len(likely) < len(part) // 10:
            break
    return confirmed


def _typical_likeness(train: ImageStats) -> float:
    """Return how alike training images and their likely twins are, which are no copies.

    Held-out images of another brightness have likely twins that are like them in nothing.
    """
    places = spread_evenly(len(train.chosen), NUM_TYPICAL)
    ours, theirs = _likely_twins(train, places, train)
    differ = train.digests[ours] != train.digests[theirs]
    if not differ.any():
        return 0.0
    return float(np.median(_quick_look(train, ours[differ], train, theirs[differ])))


def _quick_look(seen: ImageStats, ours: Indices, train: ImageStats, theirs: Indices) -> Floats:
    """Correlate smaller images with wrapped borders, before the exact comparison."""
    here, there = (each.astype(np.float32) for each in (seen.grey[ours], train.grey[theirs]))
    best = _wrapped_agreement(here, there)
    side = min(here.shape[1:])
    if side >= HALVED_FROM:
        halved = [shrink(each[..., None], side // 2)[..., 0] for each in (here, there)]
        best = np.maximum(best, _wrapped_agreement(*halved))
    return best


def _wrapped_agreement(ours: Floats, theirs: Floats) -> Floats:
    """The highest correlation of their detail over shifts by two pixels at most, by waves."""
    found = []
    for start in range(0, len(ours), 512):
        here, there = (_detail(each[start : start + 512]) for each in (ours, theirs))
        lengths = [np.sqrt((each**2).sum((1, 2))) for each in (here, there)]
        waves = np.fft.rfft2(here) * np.fft.rfft2(there).conj()
        products = np.fft.irfft2(waves, here.shape[1:])
        near = [-2, -1, 0, 1, 2]
        highest = products[:, near][:, :, near].max((1, 2))
        found.append(highest / np.maximum(lengths[0] * lengths[1], 1e-6))
    return np.concatenate(found).astype(np.float32)


def _close_look(seen: ImageStats, ours: Indices, train: ImageStats, theirs: Indices) -> Floats:
    """The better of two scales: the full one knows a shift by a pixel, the half one a new JPEG."""
    full = min(128, *seen.samples.images.shape[1:3])
    sides: Sequence[int] = (full, full // 2) if full >= HALVED_FROM else (full,)
    scores = [
        _agreement(_reduced(seen, ours, side), _reduced(train, theirs, side), most_shift=2)
        for side in sides
    ]
    best: Floats = np.max(scores, axis=0)
    return best


def _are_copies(seen: ImageStats, ours: Indices, train: ImageStats, theirs: Indices) -> Any:
    if not len(ours):
        return np.zeros(0, bool)
    side = min(128, *seen.samples.images.shape[1:3])
    return are_copies(_coloured(seen, ours, side), _coloured(train, theirs, side))


def _reduced(seen: ImageStats, places: Indices, side: int) -> Floats:
    """n x side x side in grey; each image is read once however often it is asked for."""
    unique, back = np.unique(places, return_inverse=True)
    chunks = read_chunks(seen.samples, seen.chosen[unique])
    grey = [shrink(to_grey(each.astype(np.float32))[..., None], side)[..., 0] for each in chunks]
    reduced: Floats = np.concatenate(grey)[back]
    return reduced


def _coloured(seen: ImageStats, places: Indices, side: int) -> Floats:
    """n x side x side x C, likewise."""
    unique, back = np.unique(places, return_inverse=True)
    chunks = read_chunks(seen.samples, seen.chosen[unique])
    coloured: Floats = np.concatenate([shrink(each.astype(np.float32), side) for each in chunks])
    return coloured[back]


def _agreement(ours: Floats, theirs: Floats, most_shift: int) -> Floats:
    """The highest correlation of their detail over shifts; 0 where there is too little detail."""
    margin = _window(ours) // 2  # within it, detail knows what lies beyond the border
    inner = slice(margin, -margin)
    ours, theirs = (_detail(each)[:, inner, inner] for each in (ours, theirs))
    height, width = ours.shape[1:]
    best = np.zeros(len(ours), np.float32)
    shifts = range(-most_shift, most_shift + 1)
    for down in shifts:
        for right in shifts:
            here = ours[:, max(0, down) : height + min(0, down)]
            there = theirs[:, max(0, -down) : height + min(0, -down)]
            here = here[:, :, max(0, right) : width + min(0, right)]
            there = there[:, :, max(0, -right) : width + min(0, -right)]
            best = np.maximum(best, np.einsum("nd,nd->n", _unit(here), _unit(there)))
    is_told = np.minimum(ours.std((1, 2)), theirs.std((1, 2))) > LEAST_DETAIL
    return np.where(is_told, best, 0).astype(np.float32)


def _detail(images: Floats) -> Floats:
    """Subtract the mean around each pixel."""
    from scipy.ndimage import uniform_filter

    window = _window(images)
    detail: Floats = images - uniform_filter(images, (0, window, window), mode="nearest")
    return detail


def _window(images: Floats) -> int:
    return 9 if min(images.shape[1:]) >= HALVED_FROM else 5
