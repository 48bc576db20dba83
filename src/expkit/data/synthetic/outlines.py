"""Outlines of shapes as signed distances: negative inside, in lengths of the shape's radius.

A shape is drawn by its distance to every pixel, so edges are soft by one pixel at any size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Field = npt.NDArray[np.floating[Any]]
    Outline = Callable[[Field, Field], Field]


def disc(x: Field, y: Field) -> Field:
    distance: Field = np.hypot(x, y) - 1
    return distance


def ring(x: Field, y: Field) -> Field:
    distance: Field = np.abs(np.hypot(x, y) - 0.78) - 0.22
    return distance


def ellipse(x: Field, y: Field) -> Field:
    distance: Field = 0.62 * (np.hypot(x, y / 0.62) - 1)
    return distance


def half_disc(x: Field, y: Field) -> Field:
    distance: Field = np.maximum(disc(x, y - 0.4), y - 0.4)
    return distance


def crescent(x: Field, y: Field) -> Field:
    distance: Field = np.maximum(disc(x, y), 0.85 - np.hypot(x - 0.5, y))
    return distance


def leaf(x: Field, y: Field) -> Field:
    distance: Field = np.maximum(np.hypot(x, y - 0.75), np.hypot(x, y + 0.75)) - 1.25
    return distance


def square(x: Field, y: Field) -> Field:
    return _box(x, y, 0.8, 0.8)


def rounded(x: Field, y: Field) -> Field:
    return _box(x, y, 0.55, 0.55) - 0.3


def bar(x: Field, y: Field) -> Field:
    return _box(x, y, 0.95, 0.32)


def cross(x: Field, y: Field) -> Field:
    return np.minimum(_box(x, y, 0.95, 0.3), _box(x, y, 0.3, 0.95))


def chevron(x: Field, y: Field) -> Field:
    slant = (np.abs(x) - y) * np.sqrt(0.5)
    distance: Field = np.maximum(np.abs(slant - 0.05) - 0.26, np.abs(x) - 0.9)
    return distance


def triangle(x: Field, y: Field) -> Field:
    return _polygon(x, y, 3)


def pentagon(x: Field, y: Field) -> Field:
    return _polygon(x, y, 5)


def hexagon(x: Field, y: Field) -> Field:
    return _polygon(x, y, 6)


def star(x: Field, y: Field) -> Field:
    return _star(x, y, 5, 0.45)


def burst(x: Field, y: Field) -> Field:
    return _star(x, y, 9, 0.68)


OUTLINES: tuple[Outline, ...] = (
    *(disc, ring, ellipse, half_disc, crescent, leaf, square, rounded),
    *(bar, cross, chevron, triangle, pentagon, hexagon, star, burst),
)


def distance_to_segment(x: Field, y: Field, ends: Field) -> Field:
    """The distance to a straight stroke between two points, given as x, y, x, y."""
    along_x, along_y = ends[2] - ends[0], ends[3] - ends[1]
    length = max(float(along_x**2 + along_y**2), 1e-12)
    place = np.clip(((x - ends[0]) * along_x + (y - ends[1]) * along_y) / length, 0, 1)
    distance: Field = np.hypot(x - ends[0] - place * along_x, y - ends[1] - place * along_y)
    return distance


def _box(x: Field, y: Field, half_width: float, half_height: float) -> Field:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _polygon(x: Field, y: Field, corners: int) -> Field:
    folded = _fold(x, y, corners, shift=np.pi / corners)
    distance: Field = np.hypot(x, y) * np.cos(folded) - np.cos(np.pi / corners)
    return distance


def _star(x: Field, y: Field, tips: int, inner: float) -> Field:
    """The distance to the edge between a tip, at 1 from the centre, and the notch beside it."""
    angle, radius = np.abs(_fold(x, y, tips)), np.hypot(x, y)
    notch_x, notch_y = inner * np.cos(np.pi / tips), inner * np.sin(np.pi / tips)
    edge_x, edge_y = notch_x - 1, notch_y
    across = edge_x * radius * np.sin(angle) - edge_y * (radius * np.cos(angle) - 1)
    distance: Field = -across / np.hypot(edge_x, edge_y)
    return distance


def _fold(x: Field, y: Field, times: int, shift: float = 0.0) -> Field:
    """The angle from the nearest of so many axes, between -pi / times and pi / times."""
    sector = 2 * np.pi / times
    angle: Field = np.arctan2(x, -y) - shift  # the first axis points up
    return angle - sector * np.round(angle / sector)
