"""The generated landscape as its two readers need it: repeatable, and different everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from expkit.data.synthetic.landscape import draw_landscape

CELL = 64  # pixels


def describe_cells(height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Each cell's mean colour and its texture, the spread per channel: both cells x 3."""
    picture = draw_landscape(height, width, seed).astype(np.float64)
    cells = picture.reshape(height // CELL, CELL, width // CELL, CELL, 3).swapaxes(1, 2)
    pixels = cells.reshape(-1, CELL * CELL, 3)
    return pixels.mean(axis=1), pixels.std(axis=1)


def test_same_arguments_same_bytes() -> None:
    """A run can be repeated, whatever other images were drawn meanwhile."""
    first = draw_landscape(96, 160, seed=2)
    draw_landscape(64, 64, seed=5)
    assert draw_landscape(96, 160, seed=2).tobytes() == first.tobytes()


@pytest.mark.parametrize(("seed", "other"), [(0, 1), (0, 2), (1, 2)])
def test_another_seed_another_scene(seed: int, other: int) -> None:
    """The seed moves what is seen, not the grain alone: mean colours of cells differ by levels."""
    colours, _ = describe_cells(320, 512, seed)
    others, _ = describe_cells(320, 512, other)
    assert np.abs(colours - others).mean() > 8


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 40), (40, 1), (7, 5), (200, 300)], ids=str
)
def test_odd_sizes(height: int, width: int, seed: int) -> None:
    """Any size from one pixel up is drawn, with no warning (which pytest makes an error)."""
    picture = draw_landscape(height, width, seed)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


def test_every_cell_is_told_apart() -> None:
    """No two of 5 x 8 cells agree in colour and texture, and none is flat, so none is a riddle."""
    colours, textures = describe_cells(5 * CELL, 8 * CELL, seed=2)
    traits = np.concatenate([colours, textures], axis=1)
    distances = np.linalg.norm(traits[:, None] - traits[None, :], axis=-1)
    nearest = distances[~np.eye(len(traits), dtype=bool)].min()
    assert nearest > 3  # of 255 levels; 3.9 when written, 0 in a flat image
    assert textures.min() > 6  # 9.3 when written, 4.0 without the last veil
