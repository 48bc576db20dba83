"""Splits on the device: normalized as asked, every sample once, in the order of a generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from expkit.data.store.normalizer import fit_normalizer
from expkit.data.store.samples import Dataset, Normalization, Samples
from expkit.data.store.split import Split, batch_bounds, place_splits

CPU = torch.device("cpu")


def place(how: Normalization, **splits: np.ndarray) -> dict[str, Split]:
    """Splits of these images, sample i of class i % 2."""
    samples = {
        name: Samples(images, np.arange(len(images)) % 2, [f"s{i}" for i in range(len(images))])
        for name, images in splits.items()
    }
    return place_splits(Dataset(samples, how, class_names=["even", "odd"]), CPU)


def pictures(*pixels: Sequence[int]) -> np.ndarray:
    """Grey images of one row each."""
    return np.array(pixels, np.uint8)[:, None, :, None]


def all_images(split: Split) -> Tensor:
    return torch.cat([images for images, _ in split.batches(2)])


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_unit_maps_to_zero_and_one() -> None:
    """0 is 0, 255 is 1 and 51 is a fifth, whatever the images hold."""
    images = all_images(place("unit", train=pictures([0, 51, 255], [51, 51, 51]))["train"])
    expected = torch.tensor([[0, 0.2, 1], [0.2, 0.2, 0.2]])
    torch.testing.assert_close(images[:, 0, 0], expected)


def test_dataset_normalizes_each_channel() -> None:
    """Over the training images each channel has mean 0 and standard deviation 1."""
    train = noise(7, 5, 6, 3) // np.array([1, 2, 5], np.uint8)
    images = all_images(place("dataset", train=train)["train"])
    spread, mean = torch.std_mean(images, dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(spread, torch.ones(3))


def test_held_out_pictures_are_treated_as_the_training_ones() -> None:
    """By hand: train has mean 5 and spread 5, so a 20 in val is 3, not its own mean's 0."""
    splits = place("dataset", train=pictures([0, 10], [10, 0]), val=pictures([20, 20], [0, 5]))
    assert all_images(splits["train"]).flatten().tolist() == [-1, 1, 1, -1]
    assert all_images(splits["val"]).flatten().tolist() == pytest.approx([3, 3, -1, 0], abs=1e-6)


def test_constant_channel_becomes_zeros() -> None:
    """A channel that says nothing is no division by zero, and leaves the others alone."""
    train = noise(4, 3, 3, 2)
    train[..., 1] = 77
    images = all_images(place("dataset", train=train)["train"])
    assert images[:, 1].abs().max() == 0
    torch.testing.assert_close(images[:, 0].std(correction=0), torch.tensor(1.0))


def test_constant_channel_stays_zero_under_augmentation() -> None:
    """Jitter that lifted it by a byte made it as large as what the other channels say."""
    train = noise(4, 3, 3, 2)
    train[..., 1] = 77
    split = place("dataset", train=train)["train"]
    images, _ = next(split.batches(4, augment=lambda images: images + 1 / 255))
    assert images[:, 1].abs().max() == 0
    assert images[:, 0].abs().max() > 0


def test_sample_normalizes_each_picture() -> None:
    """Each image has mean 0 and standard deviation 1 over all its pixels and channels."""
    train = noise(4, 5, 5, 3) // np.array([1, 2, 3, 4], np.uint8)[:, None, None, None]
    images = all_images(place("sample", train=train)["train"])
    spread, mean = torch.std_mean(images, dim=(1, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(spread, torch.ones(4))


def test_constant_picture_becomes_zeros() -> None:
    """A white page among others is zeros under `sample`, and its neighbour is untouched."""
    images = all_images(place("sample", train=pictures([255, 255], [0, 10]))["train"])
    assert images.flatten().tolist() == [0, 0, -1, 1]


def test_batches_are_channels_first_to_read_and_last_in_memory() -> None:
    """B x C x H x W without a copy: convolutions find the layout that they are fastest on."""
    train = noise(2, 3, 4, 3)
    images, targets = next(place("unit", train=train)["train"].batches(2))
    expected = torch.from_numpy(train.transpose(0, 3, 1, 2).astype(np.float32) / 255)
    torch.testing.assert_close(images, expected)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert targets.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("num_samples", "size", "bounds"),
    [
        (4, 2, [(0, 2), (2, 4)]),
        (5, 2, [(0, 2), (2, 5)]),
        (6, 5, [(0, 6)]),
        (7, 5, [(0, 5), (5, 7)]),
        (1, 2, [(0, 1)]),
        (3, 9, [(0, 3)]),
    ],
)
def test_last_batch_of_one_joins(
    num_samples: int, size: int, bounds: list[tuple[int, int]]
) -> None:
    """Batch norm fails on one sample: it goes with the batch before, if there is any."""
    assert batch_bounds(num_samples, size) == bounds


def ordered(split: Split, seed: int, size: int = 4) -> list[int]:
    """The first pixels of a shuffled pass, which name the samples here."""
    draws = torch.Generator().manual_seed(seed)
    batches = split.batches(size, shuffle=True, generator=draws)
    return [round(pixel * 255) for images, _ in batches for pixel in images[:, 0, 0, 0].tolist()]


def test_shuffled_batches_hold_every_sample_once() -> None:
    """Also with a rest: 11 samples in batches of 4, and each with its own target."""
    split = place("unit", train=pictures(*([i, i] for i in range(11))))["train"]
    assert sorted(ordered(split, seed=0)) == list(range(11))
    for images, targets in split.batches(4, shuffle=True, generator=torch.Generator()):
        assert ((images[:, 0, 0, 0] * 255).round() % 2).tolist() == targets.tolist()


def test_generator_alone_decides_the_order() -> None:
    """Same seed, same order, whatever torch drew meanwhile; another seed, another order."""
    split = place("unit", train=pictures(*([i, i] for i in range(11))))["train"]
    first = ordered(split, seed=3)
    torch.rand(5)
    assert ordered(split, seed=3) == first
    assert ordered(split, seed=4) != first
    assert first != sorted(first)


def test_unshuffled_batches_keep_the_order() -> None:
    """Predictions are written beside sample names, so their order must be the split's."""
    split = place("unit", train=pictures(*([i, i] for i in range(5))))["train"]
    seen = [images[:, 0, 0, 0].mul(255).round().tolist() for images, _ in split.batches(2)]
    assert seen == [[0, 1], [2, 3, 4]]


@pytest.mark.parametrize(
    ("count", "chosen"),
    [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))), (99, list(range(10)))],
)
def test_spread_out_takes_evenly(count: int, chosen: list[int]) -> None:
    """From the first to the last, evenly; and all where there are fewer than asked for."""
    split = place("unit", train=pictures(*([i, i] for i in range(10))))["train"]
    few = split.spread_out(count)
    assert few.images_NHWC[:, 0, 0, 0].tolist() == chosen
    assert few.targets.tolist() == [i % 2 for i in chosen]
    assert list(few.sample_names) == [f"s{i}" for i in chosen]


@pytest.mark.parametrize("total", [2, 3, 10, 11, 950])
def test_spread_out_never_takes_a_sample_twice(total: int) -> None:
    """Rounding must not make ten samples nine."""
    split = place("unit", train=np.zeros((total, 1, 1, 1), np.uint8))["train"]
    for count in {1, 2, 7, 10, total - 1, total}:
        names = split.spread_out(count).sample_names
        assert len(set(names)) == len(names) == min(count, total)


def test_splits_know_their_own_classes() -> None:
    """Each split carries the names of all classes and the counts of its own samples."""
    splits = place("unit", train=pictures([0], [1], [2]), val=pictures([0]))
    assert [s.class_counts for s in splits.values()] == [[2, 1], [1, 0]]
    assert {name: split.name for name, split in splits.items()} == {"train": "train", "val": "val"}
    assert len(splits["train"]) == 3
    assert list(splits["val"].class_names or ()) == ["even", "odd"]


def test_balanced_batches_hold_classes_equally_often() -> None:
    """Of 99 zeros and 1 one about half of what is drawn is the one; the epoch is as long."""
    images = pictures(*([i, i] for i in range(100)))
    samples = Samples(images, (np.arange(100) == 42).astype(np.int64), [str(i) for i in range(100)])
    dataset = Dataset({"train": samples}, "unit", class_names=["many", "one", "none"])
    split = place_splits(dataset, CPU)["train"]
    draws = torch.Generator().manual_seed(0)
    drawn = list(split.batches(32, balanced=True, generator=draws))
    targets = torch.cat([each for _, each in drawn])
    assert len(targets) == 100
    assert 35 <= int(targets.sum()) <= 65  # 50 expected, a standard deviation of 5
    for batch, wanted in drawn:
        assert ((batch[:, 0, 0, 0] * 255).round() == 42).tolist() == (wanted == 1).tolist()


def test_generator_alone_decides_a_balanced_draw() -> None:
    """An interrupted run that is resumed draws what the whole one would have drawn."""
    split = place("unit", train=pictures(*([i, i] for i in range(20))))["train"]

    def draw(seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        batches = split.batches(6, balanced=True, generator=generator)
        return [pixel for images, _ in batches for pixel in images[:, 0, 0, 0].tolist()]

    first = draw(1)
    torch.rand(3)
    assert draw(1) == first != draw(2)


def test_augmenting_comes_before_normalizing() -> None:
    """It sees 0 to 1, channels last; by hand: levels 0 and 10 have mean 5 and spread 5."""
    seen = []

    def invert(images_BCHW: Tensor) -> Tensor:
        seen.append(images_BCHW)
        return (10 / 255 - images_BCHW).contiguous()  # as kornia leaves it: channels first

    split = place("dataset", train=pictures([0, 10], [10, 10], [0, 0]))["train"]
    ((images, _),) = split.batches(3, augment=invert)
    torch.testing.assert_close(seen[0][0].flatten(), torch.tensor([0, 10 / 255]))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    expected = torch.tensor([1, -1, -1, -1, 1, 1]).float()
    torch.testing.assert_close(images.flatten(), expected, atol=1e-5, rtol=1e-5)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_augmented_pictures_are_levels_without_normalizing() -> None:
    """`none` is 0 to 255 with an augmentation as without."""
    split = place("none", train=noise(3, 4, 5, 3))["train"]
    plain, augmented = (next(split.batches(3, augment=each)) for each in (None, lambda x: x))
    torch.testing.assert_close(plain[0], augmented[0])
    assert plain[0].max() > 200


def test_batches_of_one_stay_batches_of_one() -> None:
    """Who asks for batch size 1 gets it to the end."""
    assert batch_bounds(3, 1) == [(0, 1), (1, 2), (2, 3)]


def test_pieces_of_a_spread_know_their_own_counts() -> None:
    """A split's class counts are those of its samples."""
    images = torch.zeros(4, 1, 1, 1, dtype=torch.uint8)
    split = Split(
        "t",
        images,
        torch.tensor([0, 0, 1, 1]),
        list("abcd"),
        ["x", "y"],
        fit_normalizer(images, "none"),
    )
    assert tuple(split.spread_out(2).class_counts or ()) == (1, 1)
