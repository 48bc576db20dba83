"""Measured properties, each on images of which the number is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from expkit.data.sorting.properties import PROPERTIES, SIDE
from expkit.data.synthetic.logos import draw_logo

Images = npt.NDArray[np.uint8]


def plain(level: int = 100) -> Images:
    return np.full((SIDE, SIDE, 3), level, np.uint8)


def with_square() -> Images:
    """A white square of a quarter of the area on black."""
    image = plain(0)
    image[32:96, 32:96] = 255
    return image


def ramp() -> Images:
    """One grey level more every column, from 64 on."""
    return np.repeat(np.tile(64 + np.arange(SIDE), (SIDE, 1))[..., None], 3, axis=2).astype(
        np.uint8
    )


def word(num_strokes: int = 10) -> Images:
    """Upright strokes, 4 pixels wide and 12 apart, 14 rows high."""
    image = plain(220)
    for place in range(num_strokes):
        image[52:66, 6 + 12 * place : 10 + 12 * place] = 20
    return image


def measure(name: str, *images: Images) -> list[float]:
    return PROPERTIES[name](np.stack(images)).tolist()


def test_light_is_measured_exactly() -> None:
    """A level of 100 throughout; a quarter of white; a red that has no green or blue."""
    red = plain(0)
    red[..., 0] = 255
    assert measure("brightness", plain(), with_square()) == pytest.approx([100 / 255, 0.25])
    assert measure("contrast", plain(), with_square()) == pytest.approx(
        [0, np.sqrt(3) / 4], abs=1e-6
    )
    assert measure("saturation", plain(), red) == pytest.approx([0, 1])


def test_colours_and_parts_are_counted() -> None:
    """One, two; nine squares on a ground; and noise adds none."""
    nine = plain(0)
    for place in range(9):
        row, column = divmod(place, 3)
        nine[8 + 40 * row : 32 + 40 * row, 8 + 40 * column : 32 + 40 * column, 1] = 28 * place + 31
    noise = np.random.default_rng(0).normal(0, 3, (SIDE, SIDE, 3))
    noisy = np.clip(with_square() * 0.5 + 16 + noise, 0, 255).astype(np.uint8)
    assert measure("num_colours", plain(), with_square(), noisy) == [1, 2, 2]
    assert measure("num_colours", nine) == [8 + 1 - 1]  # steps of 32 levels; black and 31 are one
    assert measure("num_parts", plain(), with_square(), noisy) == [1, 2, 2]


def test_edges_are_those_of_shapes() -> None:
    """Two pixels of 64 x 64 on both sides of the square's four sides of 32, and none on a ramp."""
    flat, square, slow = measure("edge_density", plain(), with_square(), ramp())
    assert (flat, slow) == (0, 0)
    assert square == pytest.approx(2 * 4 * 32 / 64**2, rel=0.05)


def test_gradients_are_slow_changes_alone() -> None:
    """A ramp is one nearly throughout; neither a plain image nor the blur of an edge is one."""
    flat, square, slow = measure("gradient_fraction", plain(), with_square(), ramp())
    assert (flat, square) == (0, 0)
    assert slow > 0.9


def test_text_is_many_strokes_in_a_line() -> None:
    """Ten strokes that a row crosses, all of them in one line; light ones count as dark ones do."""
    many, light, few = measure("text_likeness", word(), 255 - word(), word(3))
    assert many == pytest.approx(10, rel=0.1)
    assert light == pytest.approx(many, rel=0.01)
    assert few == pytest.approx(3, rel=0.1)
    in_two_lines = word()
    in_two_lines[:32] = word()[48:80]
    halved, square = measure("text_likeness", in_two_lines, with_square())
    assert halved == pytest.approx(many / 2, rel=0.1)
    assert square == 0


def test_every_property_keeps_to_one_number_an_image() -> None:
    """Measured alone or beside others, an image has the same number."""
    rng = np.random.default_rng(0)
    images = np.stack([draw_logo(kind, SIDE, rng) for kind in range(4)])
    for name, each in PROPERTIES.items():
        alone = [float(each(image[None])[0]) for image in images]
        assert each(images).tolist() == pytest.approx(alone, rel=1e-5), name
