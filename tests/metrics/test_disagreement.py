"""How far members differ, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_predictions import of_two

from expkit.metrics.disagreement import Disagreement, find_best, main_figure, mean_correlation
from expkit.metrics.predictions import ValuePredictions

TARGETS = [0, 0, 0, 0, 1, 1, 1, 1]


def saying(*classes: int) -> object:
    return of_two(TARGETS, [0.9 if each else 0.1 for each in classes])


def numbers(*predicted: float) -> ValuePredictions:
    zeros = np.zeros((len(predicted), 1), np.float32)
    names = [str(place) for place in range(len(predicted))]
    return ValuePredictions("val", names, zeros, np.array([predicted], np.float32).T, ["x"])


def test_pairs_errors_in_common_and_what_any_has_right_are_counted() -> None:
    """Wrong: a at 0 and 1, b at 1 and 2, c at 1. Pairs differ at 2, 1 and 1 of 8 samples."""
    a, b, c = saying(1, 1, 0, 0, 1, 1, 1, 1), saying(0, 1, 1, 0, 1, 1, 1, 1), saying(
        0, 1, 0, 0, 1, 1, 1, 1
    )  # fmt: skip
    members = [a, b, c]
    assert find_best(members) == 2  # type: ignore[arg-type]
    found = Disagreement.of(members, best=0)  # type: ignore[arg-type]
    assert found.between_members == pytest.approx((2 + 1 + 1) / 3 / 8)
    assert (found.some_right, found.best_wrong, found.rescuable) == (7, 2, 1)
    # phi of two masks with 2 of 8 each and 1 in common: (1/8 - 1/16) / (3/16); with 1 of 8 within:
    pair, within = (1 / 8 - 1 / 16) / (3 / 16), (1 / 8 - 1 / 32) / np.sqrt(3 / 16 * 7 / 64)
    assert found.error_correlation == pytest.approx((pair + 2 * within) / 3)


def test_members_that_are_never_wrong_have_no_correlation() -> None:
    """Nothing varies, and nothing is divided by nothing."""
    right = saying(*TARGETS)
    found = Disagreement.of([right, right], best=0)  # type: ignore[list-item]
    assert found.error_correlation is None
    assert (found.between_members, found.best_wrong, found.rescuable) == (0, 0, 0)


def test_numbers_have_a_distance_from_their_mean() -> None:
    """Errors 1, 3 and 3, 1: each is 1 from the mean of 2, and they go against each other."""
    members = [numbers(1, 3), numbers(3, 1)]
    found = Disagreement.of(members, best=0)
    assert found.between_members == pytest.approx(1.0)
    assert found.error_correlation == pytest.approx(-1.0)
    assert found.rescuable is None
    # Krogh and Vedelsby 1995: the squared error of the mean is the members' less their distance
    assert main_figure(members[0]) ** 2 == pytest.approx(2**2 + found.between_members**2)


def test_the_least_error_is_best_of_numbers() -> None:
    assert find_best([numbers(1, 3), numbers(1, 1), numbers(1, 1)]) == 1


def test_a_member_without_errors_is_left_out_of_the_correlation() -> None:
    errors = np.array([[0.0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]])
    assert mean_correlation(errors) == pytest.approx(1.0)
