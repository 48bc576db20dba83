"""Map-style datasets of (image, label), as torch's users have them, read into the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from expkit.data.datasets.torch_dataset import OwnDataset
from expkit.data.store.progress import silent
from expkit.errors import UserError

LEVELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3) * 4  # H x W x C


class Listed:
    """A dataset of so many samples, each made by a function of its index."""

    def __init__(self, make: Callable[[int], Any], count: int = 12) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


def read(make: Callable[[int], Any], count: int = 12, **options: Any) -> Any:
    given = {"val_fraction": 0.0, "test_fraction": 0.0, **options}
    return OwnDataset(train=Listed(make, count), **given).read(silent)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(LEVELS),
        LEVELS,
        LEVELS.astype(np.float32) / 255,
        LEVELS.astype(np.int64),
        LEVELS.transpose(2, 0, 1),
        torch.from_numpy(LEVELS).permute(2, 0, 1),
        torch.from_numpy(LEVELS).permute(2, 0, 1) / 255,
        torch.from_numpy(LEVELS),
    ],
)
def test_images_of_every_usual_kind_are_the_same_samples(image: Any) -> None:
    """PIL, uint8 or float in [0, 1], channels first or last: not a level is lost."""
    dataset = read(lambda index: (image, index % 2))
    assert np.array_equal(dataset.splits["train"].images, np.stack([LEVELS] * 12))
    assert dataset.splits["train"].targets.tolist() == [0, 1] * 6


def test_grey_images_stay_grey_unless_colour_is_asked_for() -> None:
    """By the first image; a mask of booleans is black and white."""
    grey = torch.rand(1, 4, 5)
    assert read(lambda index: (grey, index % 2)).splits["train"].images.shape == (12, 4, 5, 1)
    coloured = read(lambda index: (grey, index % 2), channels=3)
    assert coloured.splits["train"].images.shape == (12, 4, 5, 3)
    mask = read(lambda index: (torch.eye(4) > 0, index % 2)).splits["train"].images
    assert np.array_equal(mask[0, ..., 0], np.eye(4, dtype=np.uint8) * 255)


@pytest.mark.parametrize(
    ("labels", "classes", "names", "targets"),
    [
        ([0, 1, 2], None, ["0", "1", "2"], [0, 1, 2]),
        (["b", "a", "c"], None, ["a", "b", "c"], [1, 0, 2]),
        ([0, 2, 0], ["x", "y", "z"], ["x", "y", "z"], [0, 2, 0]),
        ([torch.tensor(1), np.int64(0), True], None, ["0", "1"], [1, 0, 1]),
    ],
)
def test_labels_are_classes_with_the_names_that_the_dataset_knows(
    labels: Sequence[Any], classes: list[str] | None, names: list[str], targets: list[int]
) -> None:
    """Numbers or text; a class may lack where the dataset names all."""
    source = Listed(lambda index: (LEVELS, labels[index % 3]))
    if classes is not None:
        source.classes = classes  # type: ignore[attr-defined]
    dataset = OwnDataset(train=source, val_fraction=0, test_fraction=0).read(silent)
    assert dataset.class_names == names
    assert dataset.splits["train"].targets[:3].tolist() == targets


def test_a_subset_knows_the_names_of_what_it_is_a_subset_of() -> None:
    """class_to_idx is by index, whatever the order of its keys."""
    whole = Listed(lambda index: (LEVELS, index % 2))
    whole.class_to_idx = {"right": 1, "left": 0}  # type: ignore[attr-defined]
    subset: Any = torch.utils.data.Subset(whole, range(6))  # type: ignore[arg-type]
    dataset = OwnDataset(train=subset, val_fraction=0, test_fraction=0).read(silent)
    assert dataset.class_names == ["left", "right"]


def test_splits_are_made_by_class_or_are_those_that_are_given() -> None:
    """Of one dataset by fractions; a val of one's own stays as it is."""
    made = read(lambda index: (LEVELS, index % 2), 20, val_fraction=0.2, test_fraction=0.2)
    assert {s: made.class_counts(s) for s in made.splits} == {
        "train": (6, 6), "val": (2, 2), "test": (2, 2)}  # fmt: skip
    val = Listed(lambda index: (255 - LEVELS, 1 - index % 2), 4)
    own = OwnDataset(train=Listed(lambda index: (LEVELS, index % 2)), val=val).read(silent)
    assert len(own.splits["train"]) == 12
    assert own.splits["val"].targets.tolist() == [1, 0, 1, 0]
    assert np.array_equal(own.splits["val"].settle().images[0], 255 - LEVELS)


def test_sizes_may_differ_where_one_is_asked_for() -> None:
    """Else one screen counts them, and names the setting."""

    def image(index: int) -> tuple[Any, int]:
        return np.full((8 + index, 8, 3), 9, np.uint8), index % 2

    assert read(image, size=6).splits["train"].images.shape == (12, 6, 6, 3)
    with pytest.raises(UserError, match="of 12 sizes") as caught:
        read(image)
    assert caught.value.details["do"] == "dataset.size=8"


def test_what_changes_at_each_reading_is_remarked_on() -> None:
    """An augmentation within the dataset would be frozen at its first draw."""
    random = read(lambda index: (torch.rand(3, 4, 4), index % 2))
    assert any("change from one reading to the next" in each for each in random.remarks)
    assert not read(lambda index: (LEVELS, index % 2)).remarks


def fail(index: int) -> Any:
    raise OSError("gone")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda index: LEVELS, "it gives a ndarray, and not a pair"),
        (lambda index: (LEVELS, 1, 2), "it gives a tuple, and not a pair"),
        (lambda index: ("a.png", index % 2), "its image is"),
        (lambda index: (torch.randn(3, 4, 4), index % 2), "its values are float32 from -"),
        (lambda index: (LEVELS.astype(np.int64) * 9, 0), "from 0 to 2.12e+03"),
        (lambda index: (torch.rand(7, 5, 5), 0), "its image has shape"),
        (lambda index: (LEVELS, 0.5), "not all whole numbers"),
        (lambda index: (LEVELS, torch.rand(3)), "not all whole numbers"),
        (lambda index: (LEVELS, 3 * (index % 2)), "of 0 to 3 only 2 are in use"),
        (lambda index: (LEVELS, -(index % 2)), "from -1 to 0"),
        (fail, "fails at sample 0 of train: gone"),
    ],
)
def test_what_is_no_image_with_a_label_is_refused_with_what_it_is(
    make: Callable[[int], Any], said: str
) -> None:
    """One screen names the sample and what would be taken."""
    with pytest.raises(UserError) as caught:
        read(make)
    assert said in caught.value.what
    assert len(caught.value.screen().splitlines()) < 12


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (iter([1]), "it has no length"),
        ([], "it is empty"),
    ],
)
def test_only_what_can_be_indexed_is_taken(source: Any, said: str) -> None:
    """Streams have no samples to split."""
    with pytest.raises(UserError, match=said):
        OwnDataset(train=source).read(silent)


def test_images_that_do_not_fit_the_memory_are_refused() -> None:
    """They have no file to be mapped from."""
    with pytest.raises(UserError, match="do not fit"):
        read(lambda index: (LEVELS, index % 2), memory_fraction=0.0)
