"""Nearest neighbours, linear probes and collapse, on features that can be looked through."""

from __future__ import annotations

import math

import numpy as np
import pytest

from expkit.metrics import representations
from expkit.metrics.representations import (
    effective_rank,
    embedding_std,
    predict_by_linear_probe,
    predict_by_neighbours,
)

CROSS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)


def test_neighbours_are_nearest_by_angle_and_vote_by_nearness() -> None:
    """Lengths do not count; two far votes weigh less than a near one."""
    known = np.array([[9, 0], [0, 1], [0, 2]], np.float32)
    classes = np.array([1, 0, 0])
    asked = np.array([[0.1, 0.01], [1, 5]], np.float32)
    assert predict_by_neighbours(known, classes, asked, 1).tolist() == [1, 0]
    assert predict_by_neighbours(known, classes, asked, 20).tolist() == [1, 0]


def test_neighbours_are_asked_in_parts_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    known, asked = (draws.normal(size=(n, 4)).astype(np.float32) for n in (30, 11))
    classes = draws.integers(3, size=30)
    whole = predict_by_neighbours(known, classes, asked, 5)
    monkeypatch.setattr(representations, "ASKED_AT_ONCE", 4)
    assert predict_by_neighbours(known, classes, asked, 5).tolist() == whole.tolist()


def test_a_linear_probe_separates_what_a_line_does() -> None:
    """Features of sizes a thousandfold apart are brought to one."""
    known = np.array([[0, 0], [0, 1000], [1, 0], [1, 1000]], np.float32).repeat(5, 0)
    classes = np.array([0, 0, 1, 1]).repeat(5)
    asked = np.array([[0.1, 900], [0.9, 100]], np.float32)
    assert predict_by_linear_probe(known, classes, asked).tolist() == [0, 1]
    assert predict_by_linear_probe(known, np.full(20, 3), asked).tolist() == [3, 3]


def test_equal_embeddings_have_no_std_and_one_direction() -> None:
    same = np.ones((5, 3), np.float32)
    assert embedding_std(same) == pytest.approx(0, abs=1e-3)
    assert effective_rank(same) == 1.0


def test_the_std_of_a_cross_is_1_and_of_half_of_it_less() -> None:
    """The mean of two at right angles has length sqrt(1/2): sqrt(1 - 1/2) is left."""
    assert embedding_std(CROSS) == pytest.approx(1)
    assert embedding_std(CROSS[:2]) == pytest.approx(math.sqrt(0.5))


def test_the_rank_is_the_number_of_directions_with_equal_variance() -> None:
    assert effective_rank(CROSS) == pytest.approx(2)
    assert effective_rank(CROSS[[0, 2]]) == pytest.approx(1)
    uneven = np.array([[1, 0], [-1, 0], [1, 0], [-1, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    fractions = (0.75, 0.25)
    expected = math.exp(-sum(f * math.log(f) for f in fractions))
    assert effective_rank(uneven.astype(np.float32)) == pytest.approx(expected)
