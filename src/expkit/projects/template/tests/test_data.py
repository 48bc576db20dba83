"""The dataset: balanced, repeatable, and of the shapes that its labels say."""

import math

import numpy as np
import pytest

from my_project.data import Shapes


def test_classes_are_balanced() -> None:
    """Thirty samples are ten of each class."""
    labels = [label for _, label in Shapes(30)]
    assert np.bincount(labels).tolist() == [10, 10, 10]


def test_samples_are_images_in_8_bits() -> None:
    """Height x width x colour, from 0 to 255, as expkit and Pillow have them."""
    image, _ = Shapes(3, size=24)[0]
    assert (image.shape, image.dtype) == ((24, 24, 3), np.uint8)


def test_a_sample_depends_on_seed_and_index_alone() -> None:
    """Read twice it is the same; of another seed it is another image."""
    assert np.array_equal(Shapes(9)[4][0], Shapes(9)[4][0])
    assert not np.array_equal(Shapes(9)[4][0], Shapes(9, seed=1)[4][0])


@pytest.mark.parametrize(
    ("name", "fraction"), [("circle", math.pi / 4), ("square", 1.0), ("triangle", 0.5)]
)
def test_the_label_says_what_is_drawn(name: str, fraction: float) -> None:
    """By the fraction of its bounding box that a shape fills."""
    data = Shapes(60, size=64, noise=0.0)
    filled = [
        _filled(image)
        for image, label in map(data.__getitem__, range(60))
        if data.classes[label] == name
    ]
    assert np.mean(filled) == pytest.approx(fraction, abs=0.05)


def _filled(image: np.ndarray) -> float:
    """The bright part of an image, of its bounding box."""
    inside = image.min(2) > 0.5 * 255
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return inside.sum() / ((rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1))
