"""The worth of features without a classifier: nearest neighbours, linear probes, collapse."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Classes = npt.NDArray[np.int64]

NEIGHBOURS = 20  # that vote, each by exp(cosine / VOTE_TEMPERATURE), as in arXiv:1805.01978
VOTE_TEMPERATURE = 0.07
ASKED_AT_ONCE = 1024  # samples: cosines with all the known ones
MOST_ITERATIONS = 200  # of a linear probe's fit


def predict_by_neighbours(
    known_ND: Floats, classes_N: Classes, asked_MD: Floats, num_neighbours: int = NEIGHBOURS
) -> Classes:
    """Return the class that the nearest known features vote for, by their cosines."""
    known, asked = _unit(known_ND), _unit(asked_MD)
    few, predicted = min(num_neighbours, len(known)), []
    for start in range(0, len(asked), ASKED_AT_ONCE):
        cosines = asked[start : start + ASKED_AT_ONCE] @ known.T
        nearest = np.argpartition(cosines, -few, axis=1)[:, -few:]
        weights = np.exp(np.take_along_axis(cosines, nearest, axis=1) / VOTE_TEMPERATURE)
        votes = np.zeros((len(cosines), int(classes_N.max()) + 1))
        rows = np.repeat(np.arange(len(cosines)), few)
        np.add.at(votes, (rows, classes_N[nearest].ravel()), weights.ravel())
        predicted.append(votes.argmax(1))
    return np.concatenate(predicted)


def predict_by_linear_probe(known_ND: Floats, classes_N: Classes, asked_MD: Floats) -> Classes:
    """Return the class by a logistic regression that is fitted to the known features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(classes_N)) < 2:
        return np.full(len(asked_MD), classes_N[0])
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough to compare epochs by
        probe.fit(known_ND, classes_N)
    predicted: Classes = probe.predict(asked_MD)
    return predicted


def embedding_std(embeddings_NE: Floats) -> float:
    """Return how far embeddings of length 1 lie from their mean: from 0, all equal, to 1."""
    mean = _unit(embeddings_NE).mean(0, dtype=np.float64)
    return float(np.sqrt(max(0.0, 1 - mean @ mean)))


def effective_rank(embeddings_NE: Floats) -> float:
    """Return how many directions embeddings of length 1 use: exp(entropy of the variances).

    Roy and Vetterli 2007, of the covariance; 1 where nothing varies, or one direction does.
    """
    units = _unit(embeddings_NE).astype(np.float64)
    variances = np.linalg.eigvalsh(np.cov(units, rowvar=False, bias=True)).clip(0)
    total = variances.sum()
    if not total > 1e-12:
        return 1.0
    fractions = variances[variances > 0] / total
    return float(np.exp(-(fractions * np.log(fractions)).sum()))


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Floats = vectors / np.maximum(lengths, 1e-12)
    return units
