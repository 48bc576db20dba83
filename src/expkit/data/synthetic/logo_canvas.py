"""A square canvas on which logos are painted: shapes, strokes, gradients, patterns and grain."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from expkit.data.synthetic.outlines import distance_to_segment

if TYPE_CHECKING:
    import numpy.typing as npt

    from expkit.data.synthetic.outlines import Outline

    Field = npt.NDArray[np.floating[Any]]
    Colour = npt.NDArray[np.floating[Any]]  # red, green, blue in [0, 1]

REACH = 1.5  # radii from a shape's centre, beyond which no outline reaches
CLEAR = 0.42  # the least distance of colours that are told apart at a glance
LUMINANCE = np.array([0.30, 0.59, 0.11])


class Paint(NamedTuple):
    """A colour, or a gradient between two over a shape: along a direction, or from its centre."""

    first: Colour
    last: Colour | None = None
    direction: float = 0.0  # radians
    is_radial: bool = False

    def at(self, x: Field, y: Field) -> Field:
        """The colour at places in lengths of the radius from the shape's centre."""
        if self.last is None:
            return self.first
        if self.is_radial:
            amount = np.hypot(x, y)
        else:
            amount = (x * np.cos(self.direction) + y * np.sin(self.direction) + 1) / 2
        colour: Field = self.first + (self.last - self.first) * np.clip(amount, 0, 1)[..., None]
        return colour


class Canvas:
    """An image whose sides are 1 long, in size x size pixels of three colours in [0, 1]."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = np.zeros((size, size, 3))
        self._centres = (np.arange(size) + 0.5) / size

    def cover(self, paint: Paint) -> None:
        """Paint all of it."""
        x = 2 * self._centres - 1
        self.image[...] = paint.at(*np.meshgrid(x, x))

    def fill(
        self, outline: Outline, x: float, y: float, radius: float, turn: float, paint: Paint
    ) -> None:
        """Paint a shape of this radius around a place, turned by radians."""
        reach = REACH * radius
        rows, columns = self._span(y - reach, y + reach), self._span(x - reach, x + reach)
        across = (self._centres[columns] - x)[None, :] / radius
        down = (self._centres[rows] - y)[:, None] / radius
        cos, sin = np.cos(turn), np.sin(turn)
        local_x, local_y = cos * across + sin * down, cos * down - sin * across
        inside = np.clip(0.5 - outline(local_x, local_y) * radius * self.size, 0, 1)[..., None]
        part = self.image[rows, columns]
        part += (paint.at(local_x, local_y) - part) * inside

    def stroke(self, segments: Field, width: float, paint: Paint) -> None:
        """Paint straight strokes with round ends, given as x, y, x, y each."""
        reach = width / 2 + 1 / self.size
        low = segments.reshape(-1, 2).min(0) - reach
        high = segments.reshape(-1, 2).max(0) + reach
        rows, columns = self._span(low[1], high[1]), self._span(low[0], high[0])
        x, y = self._centres[columns][None, :], self._centres[rows][:, None]
        nearest = np.full((y.size, x.size), np.inf)
        for ends in segments:
            near = slice(
                *np.searchsorted(x[0], [ends[[0, 2]].min() - reach, ends[[0, 2]].max() + reach])
            )
            part = nearest[:, near]
            np.minimum(part, distance_to_segment(x[:, near], y, ends), out=part)
        inside = np.clip(0.5 - (nearest - width / 2) * self.size, 0, 1)[..., None]
        middle, half = (low + high) / 2, (high - low).max() / 2
        part = self.image[rows, columns]
        part += (paint.at((x - middle[0]) / half, (y - middle[1]) / half) - part) * inside

    def weave(self, kind: int, period: float, turn: float, strength: float) -> None:
        """Lay a faint pattern over all of it: stripes, a grid or dots."""
        x = self._centres * 2 * np.pi / period
        along = np.sin(np.cos(turn) * x[None, :] + np.sin(turn) * x[:, None])
        across = np.sin(np.cos(turn) * x[:, None] - np.sin(turn) * x[None, :])
        pattern = (along, np.maximum(along, across), along * across)[kind]
        self.image += strength * np.sign(pattern)[..., None]

    def _span(self, low: float, high: float) -> slice:
        start, stop = np.floor(low * self.size), np.ceil(high * self.size)
        return slice(max(0, int(start)), max(0, int(stop)))


class Palette(NamedTuple):
    """A background, and colours that stand out from it."""

    background: Colour
    colours: Sequence[Colour]

    def pick(self, rng: np.random.Generator) -> Colour:
        return self.colours[int(rng.integers(len(self.colours)))]


def draw_palette(rng: np.random.Generator, num_colours: int = 4) -> Palette:
    """Colours of related hues on a light, dark or coloured background."""
    hue, step = rng.random(), rng.choice([0.0, 0.08, 0.33, 0.5])
    kind = rng.integers(3)
    saturation = (rng.uniform(0, 0.15), rng.uniform(0.2, 0.9), rng.uniform(0.3, 0.9))[kind]
    value = (rng.uniform(0.85, 1), rng.uniform(0.05, 0.3), rng.uniform(0.4, 0.95))[kind]
    background = _colour(hue + rng.uniform(-0.1, 0.1), saturation, value)
    colours: list[Colour] = []
    while len(colours) < num_colours:
        tint = hue + step * len(colours) + rng.uniform(-0.05, 0.05)
        colours.append(draw_colour(rng, tint, away_from=background))
    return Palette(background, colours)


def draw_colour(
    rng: np.random.Generator, hue: float, *, away_from: Colour, least: float = CLEAR
) -> Colour:
    """A colour of about this hue, at least so far from another one."""
    for attempt in range(12):
        colour = _colour(hue + 0.04 * attempt, rng.uniform(0.3, 1), rng.uniform(0.15, 1))
        if tell_apart(colour, away_from) > least:
            return colour
    return np.full(3, 0.95 if away_from @ LUMINANCE < 0.5 else 0.1)


def draw_any_colour(rng: np.random.Generator) -> Colour:
    return _colour(rng.random(), rng.uniform(0.1, 1), rng.uniform(0.05, 1))


def tell_apart(first: Colour, last: Colour) -> float:
    """The distance of two colours: mostly that of their luminance, which the eye sees first."""
    difference = first - last
    return float(np.abs(difference @ LUMINANCE) + 0.35 * np.abs(difference).mean())


def _colour(hue: float, saturation: float, value: float) -> Colour:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))
