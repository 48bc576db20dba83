"""Figures of curves, worked out by hand."""

from __future__ import annotations

import math

import pytest
from training_curves import wiggle

from expkit.diagnosis.figures import noise, slope, smooth


def test_figures_by_hand() -> None:
    """A straight course has no noise; alternating +-1 has bends of 4; means of neighbours."""
    assert noise([1, 2, 3, 4, 5]) == 0
    assert noise([1, -1, 1, -1, 1]) == pytest.approx(4 / 0.6745 / math.sqrt(6))
    assert noise(wiggle(5000, 0.1)) == pytest.approx(0.1, rel=0.05)
    assert noise([100, 10, *wiggle(5000, 0.1)]) == pytest.approx(0.1, rel=0.05)
    assert slope([1, 3, 5]) == pytest.approx(2)
    assert smooth([0, 3, 6, 0]) == [1.5, 3, 3, 3]
