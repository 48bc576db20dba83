"""Risk over coverage by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic_predictions import PITS

from expkit.metrics.selective_prediction import RiskCoverage, risk_coverages


def curve(scores: list[float], wrong: list[int]) -> RiskCoverage:
    found = RiskCoverage.by(np.array(scores), np.array(wrong, dtype=bool))
    assert found is not None
    return found


def test_areas_by_hand() -> None:
    """Surest first right, wrong, right, wrong: risks 0, 1/2, 1/3, 1/2.

    At best both errors come last: 0, 0, 1/3, 1/2.
    """
    found = curve([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1])
    assert found.risks.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert found.coverages.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert found.area == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.optimal_area == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert found.excess_area == pytest.approx(1 / 8)


def test_the_best_order_has_no_excess() -> None:
    """And one without errors no area at all."""
    assert curve([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]).excess_area == pytest.approx(0)
    assert curve([0.1, 0.2], [0, 0]).area == 0


def test_equal_scores_are_one_step() -> None:
    """Whatever order the samples came in: one score for all has the error rate for its area."""
    assert curve([0.5] * 4, [1, 0, 0, 0]).area == curve([0.5] * 4, [0, 0, 0, 1]).area == 0.25
    assert curve([0.9, 0.5, 0.5], [0, 1, 0]).risks.tolist() == pytest.approx([0, 1 / 4, 1 / 3])


def test_risk_at_a_coverage_counts_up() -> None:
    """80 % of 4 samples are 4 of them, of 5 are 4."""
    assert curve([4, 3, 2, 1], [0, 0, 0, 1]).risk_at(0.8) == 0.25
    assert curve([5, 4, 3, 2, 1], [0, 0, 0, 0, 1]).risk_at(0.8) == 0
    assert curve([5.0], [1]).risk_at(0.001) == 1


def test_a_score_that_is_not_finite_orders_nothing() -> None:
    """A diverged model has no curve; nor has an empty split."""
    assert RiskCoverage.by(np.array([0.5, np.nan]), np.array([True, False])) is None
    assert RiskCoverage.by(np.array([]), np.array([], dtype=bool)) is None


def test_confidence_always_and_uncertainty_where_it_was_predicted() -> None:
    """Of eight samples two are wrong; the least uncertain are the surest."""
    assert list(risk_coverages(PITS)) == ["confidence"]
    is_wrong = PITS.ranks != 0
    last = replace(PITS, uncertainties=is_wrong.astype(np.float32))
    first = replace(PITS, uncertainties=(~is_wrong).astype(np.float32))
    assert risk_coverages(last)["uncertainty"].excess_area == pytest.approx(0)
    assert risk_coverages(first)["uncertainty"].risks[:2].tolist() == [1, 1]
    figures = risk_coverages(last)["uncertainty"].to_json()
    assert figures["error_of_surest"] == pytest.approx(1 / 7)  # 7 of 8 samples are kept
