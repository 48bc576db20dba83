"""Rules on images that show nothing, and on splits that were prepared differently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from damaged_data import Array, change, digits, evidence_of, of_arrays
from rule_findings import findings
from synthetic_evidence import make_evidence

from expkit.data.datasets.puzzle import Puzzle
from expkit.data.store.progress import silent
from expkit.data.store.samples import Dataset
from expkit.records.run.metadata import Layout

PICTURE_RULES = ("constant_images", "constant_channel", "splits_prepared_differently")


def colours() -> Dataset:
    """Pieces of a landscape at sunset as two classes, so that the channels differ."""
    images = Puzzle(rows=20, columns=20, piece_size=8).read(silent).splits["train"].images
    images = (images * np.array([1.0, 0.8, 0.5])).astype(np.uint8)
    images = images[np.random.default_rng(0).permutation(400)]
    labels = np.arange(400) % 2
    return of_arrays(train=(images[:300], labels[:300]), val=(images[300:], labels[300:]))


@pytest.mark.parametrize("rule", PICTURE_RULES)
@pytest.mark.parametrize("dataset", [digits(), colours()])
def test_sound_pictures_are_left_alone(rule: str, dataset: Dataset) -> None:
    """Digits, and pieces of one landscape in both splits."""
    assert findings(rule, evidence_of(dataset)) == []


@pytest.mark.parametrize("rule", PICTURE_RULES)
def test_without_a_census_nothing_is_said(rule: str) -> None:
    """A run that was made before there was one."""
    assert findings(rule, make_evidence()) == []


def blacken(images: Array, step: int) -> Array:
    images = images.copy()
    images[::step] = 0
    return images


def test_black_pictures_are_counted() -> None:
    """One of 50 is a warning that names them, one of 1,257 a note."""
    many = change(digits(), "train", images=lambda images: blacken(images, 50))
    (found,) = findings("constant_images", evidence_of(many))
    assert (found.severity, found.evidence["count"]) == ("warning", 26)
    one = change(digits(), "train", images=lambda images: blacken(images, 2000))
    (found,) = findings("constant_images", evidence_of(one))
    assert found.severity == "info"


def test_one_picture_for_all_labels_is_fatal() -> None:
    """And its copies are not told again as duplicates."""
    same = change(digits(), "train", images=lambda images: np.repeat(images[:1], len(images), 0))
    evidence = evidence_of(same)
    (found,) = findings("constant_images", evidence)
    assert found.severity == "fatal"
    assert findings("conflicting_duplicates", evidence) == []
    assert findings("repeated_images", evidence) == []


def test_a_channel_of_zeros_is_a_note() -> None:
    """Green, as in the cherries."""

    def without_green(images: Array) -> Array:
        images = images.copy()
        images[..., 1] = 0
        return images

    dataset = change(change(colours(), "train", without_green), "val", without_green)
    (found,) = findings("constant_channel", evidence_of(dataset))
    assert found.severity == "info"
    assert "green" in found.sentence


def brighter(images: Array) -> Array:
    return np.asarray(np.clip(images.astype(int) + 60, 0, 255).astype(np.uint8))


DAMAGES: list[tuple[Callable[[Array], Array], str]] = [
    (lambda images: 255 - images, "inverted"),
    (lambda images: (images / 255).round().astype(np.uint8), "scaled to 0 to 1"),
    (lambda images: images // 2, "another range"),
    (brighter, "another range"),
]


@pytest.mark.parametrize(("damage", "cause"), DAMAGES)
def test_a_split_of_another_scale_is_named(damage: Any, cause: str) -> None:
    """The negative, bytes of 0 and 1, half the range, and brighter by a quarter of it."""
    dataset = change(digits(), "val", images=damage)
    (found,) = findings("splits_prepared_differently", evidence_of(dataset))
    assert found.severity == "warning"
    assert cause in found.cause


def test_swapped_channels_are_named() -> None:
    """Blue, green, red: the order that brings the means back."""
    dataset = change(colours(), "val", images=lambda images: images[..., ::-1])
    (found,) = findings("splits_prepared_differently", evidence_of(dataset))
    assert "2, 1, 0" in found.cause


def test_a_touch_brighter_is_left_alone() -> None:
    """By five of 255: another lamp, and no other preparation."""
    dataset = change(digits(), "val", images=lambda images: np.minimum(images, 250) + np.uint8(5))
    assert findings("splits_prepared_differently", evidence_of(dataset)) == []


def test_pieces_of_another_picture_may_differ() -> None:
    """The held-out image of a puzzle is another one by intent."""
    dataset = change(colours(), "val", images=lambda images: images // 3)
    evidence = evidence_of(dataset)
    assert len(findings("splits_prepared_differently", evidence)) == 1
    metadata = replace(evidence.metadata, layouts={"val": Layout("other.jpg", 10, 10, (0,))})
    told = replace(evidence, metadata=metadata)
    assert findings("splits_prepared_differently", told) == []


@pytest.mark.parametrize(
    ("turn", "told"),
    [
        (lambda images: np.rot90(images, axes=(1, 2)), "turned by three quarters"),
        (lambda images: images.swapaxes(1, 2), "transposed"),
    ],
)
def test_turned_pictures_are_told(turn: Callable[[Array], Array], told: str) -> None:
    """Digits of val that lie otherwise: what undoes it is named."""
    (found,) = findings(
        "splits_prepared_differently", evidence_of(change(digits(), "val", images=turn))
    )
    assert told in found.sentence


def test_noise_in_one_split_is_told() -> None:
    """Training images with noise of 60 levels, val without, both of one mean."""
    noise = np.random.default_rng(0).normal(0, 60, (300, 8, 8, 3))
    noisy = change(
        colours(), "train", images=lambda images: (images + noise).clip(0, 255).astype(np.uint8)
    )
    (found,) = findings("splits_prepared_differently", evidence_of(noisy))
    assert found.severity == "warning"


def domes(count: int, seed: int) -> tuple[Array, Array]:
    """Bright in the middle, a touch less so below and right: nearly the same upside down."""
    rng = np.random.default_rng(seed)
    rows = np.linspace(-1, 1, 16)
    dome = 120 * np.exp(-2 * (rows[:, None] ** 2 + rows**2)) - 6 * rows[:, None] - 12 * rows
    images = 60 + dome + rng.normal(0, 12, (count, 16, 16))
    return images.clip(0, 255).astype(np.uint8)[..., None], np.arange(count) % 3


def test_nearly_symmetric_pictures_upside_down_are_told() -> None:
    """Mean images agree by 0.98 upside down, and as parts of train do once turned back."""
    rule = "splits_prepared_differently"
    sound = of_arrays(train=domes(300, 0), val=domes(100, 1))
    turned = change(sound, "val", images=lambda images: images[:, ::-1])
    (found,) = findings(rule, evidence_of(turned))
    assert "upside down" in found.sentence
    assert found.evidence["mean_image_correlation"] > 0.9
    assert findings(rule, evidence_of(sound)) == []


def test_lost_detail_shows_in_the_means_of_pictures() -> None:
    """Noise of 16 x 16 pixels, and of its every eighth: means lie eight times as far apart.

    A few empty images move the spread of means, and not their quartiles.
    """
    rule = "splits_prepared_differently"
    images = np.random.default_rng(0).integers(0, 256, (400, 16, 16, 1)).astype(np.uint8)
    labels = np.arange(400) % 3
    sound = of_arrays(train=(images[:300], labels[:300]), val=(images[300:], labels[300:]))
    coarse = change(
        sound, "val", images=lambda given: given[:, ::8, ::8].repeat(8, axis=1).repeat(8, axis=2)
    )
    assert "alike in brightness" in _grainless(coarse, rule)
    empty = change(sound, "train", images=lambda given: blacken(given, 20))
    assert findings(rule, evidence_of(empty)) == []


def _grainless(dataset: Dataset, rule: str) -> str:
    """What is told where the grain alone says nothing."""
    evidence = evidence_of(dataset)
    for split in evidence.of_kind("data")[0]["splits"].values():
        del split["grain"]
    (found,) = findings(rule, evidence)
    return found.sentence


def test_two_dead_channels_of_three_are_a_grey_image() -> None:
    """Where the dataset can be read as grey, that is the remedy."""

    def red_alone(images: Array) -> Array:
        return np.asarray(images * np.array([1, 0, 0], np.uint8))

    dataset = change(change(colours(), "train", red_alone), "val", red_alone)
    evidence = evidence_of(dataset)
    (found,) = findings("constant_channel", evidence)
    assert (list(found.remedies), found.command[:7]) == ([], "nothing")
    config = {**evidence.config, "dataset": {**evidence.config["dataset"], "channels": None}}
    (found,) = findings("constant_channel", replace(evidence, config=config))
    assert found.remedies == [["dataset.channels=1"]]
    assert "the green and blue channel of every" in found.sentence


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"grain": [30.0, 32.0, 34.0]}, "rougher than train's"),
        ({"grain": [1.0, 2.0, 3.0]}, "smoother than train's"),
        ({"quartiles_of_means": [99.0, 100.0, 101.0], "std_of_means": [1.0] * 3}, "more alike in"),
    ],
)
def test_another_texture_is_named(changed: dict[str, Any], words: str) -> None:
    """Quartiles of the grain that lie apart, or images that are all as bright."""
    evidence = evidence_of(colours())
    (record,) = evidence.of_kind("data")
    same = {
        "grain": [10.0, 11.0, 12.0],
        "quartiles_of_means": [60.0, 100.0, 140.0],
        "std_of_means": [30.0] * 3,
    }
    train = {**record["splits"]["train"], **same}
    splits = {"train": train, "val": {**train, **changed}}
    other = replace(evidence, signals=[{**record, "splits": splits}])
    (found,) = findings("splits_prepared_differently", other)
    assert f"the images of val are {words}" in found.sentence
    assert "noise, blur" in found.cause
