"""Predictions of which it is known who is right where, and their differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from expkit.metrics.classification import measure
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.seed_differences import Student
from expkit.metrics.significance import Difference, differences_on_samples


def told(right: Sequence[bool] | np.ndarray, sure: float = 0.9) -> ClassPredictions:
    """Answers to a task of two classes, so sure of each, right where it is said."""
    mask = np.asarray(right, bool)
    targets = np.arange(len(mask)) % 2
    answered = np.where(mask, targets, 1 - targets)
    probabilities = np.full((len(mask), 2), 1 - sure, np.float32)
    probabilities[np.arange(len(mask)), answered] = sure
    names = [f"sample_{i}" for i in range(len(mask))]
    ranks = (~mask).astype(np.int64)
    return ClassPredictions("val", names, targets, answered, ranks, probabilities, ["clean", "pit"])


def masks(both: int, ours: int, theirs: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Who is right where, with these counts."""
    cells = [(1, 1)] * both + [(1, 0)] * ours + [(0, 1)] * theirs + [(0, 0)] * wrong
    pairs = np.array(cells, bool)
    return pairs[:, 0], pairs[:, 1]


def differences(ours: ClassPredictions, theirs: ClassPredictions) -> dict:
    mine, other = measure(ours), measure(theirs)
    figures = {name: (mine[name], other[name]) for name in mine}
    return differences_on_samples(ours, theirs, figures)


def fixed(p: float, gap: float = 0.1) -> Difference:
    """A comparison of three seeds with such a p alone."""
    error = gap / float(stats.t.isf(p / 2, 2))
    return Difference.of(gap, Student("paired t test", gap, error, 2, 1.0, 1, 0.0), "seeds", 3)
