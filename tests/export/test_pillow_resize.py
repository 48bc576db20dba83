"""The graph's resize gives the bytes that Pillow gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from expkit.data.store.decoding import Decoding, Interpolation
from expkit.export.pillow_resize import PillowResize

SIZES = [(64, 64), (100, 57), (31, 200), (300, 211), (20, 20), (1, 1), (57, 90)]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "box", "hamming"])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875, 0.9])
def test_resize_and_centre_crop_are_pillows_to_the_bit(
    interpolation: Interpolation, crop_fraction: float
) -> None:
    """Noise of many sizes, larger and smaller than the model's, comes out as Pillow has it."""
    decoding = Decoding((64, 48), crop_fraction, "crop", interpolation)
    graph = PillowResize(decoding)
    random = np.random.default_rng(0)
    for height, width in SIZES:
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected = decoding.arrange(Image.fromarray(image))
        given = graph(torch.from_numpy(image)[None])[0]
        assert given.numpy().tolist() == expected.tolist()


def test_a_prepared_image_with_its_border_comes_back_as_it_was() -> None:
    """What evaluation hands to the file, at the size before the crop, loses its border alone."""
    decoding = Decoding((64, 48), 0.875)
    tall, wide = decoding.padded_size
    image = np.random.default_rng(1).integers(0, 256, (64, 48, 1), dtype=np.uint8)
    top, left = round((tall - 64) / 2), round((wide - 48) / 2)
    padded = np.zeros((1, tall, wide, 1), np.uint8)
    padded[0, top : top + 64, left : left + 48] = image
    assert (PillowResize(decoding)(torch.from_numpy(padded))[0].numpy() == image).all()


def test_squashed_images_that_shrink_alike_are_pillows_to_the_bit() -> None:
    decoding = Decoding((32, 32), 1.0, "squash", "bilinear")
    image = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = decoding.arrange(Image.fromarray(image))
    assert (PillowResize(decoding)(torch.from_numpy(image)[None])[0].numpy() == expected).all()
