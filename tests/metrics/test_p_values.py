"""P-values: exact, corrected for the number of comparisons, and quickly there."""

from __future__ import annotations

import sys

import pytest
from scipy.stats import binomtest

from expkit.metrics.mcnemar import McNemar
from expkit.metrics.p_values import holm
from expkit.metrics.seed_differences import difference_over_seeds


def test_holm_by_hand() -> None:
    """3 x 0.01, then 2 x 0.02, then 0.5; of five, both that tie have 5 x 0.01."""
    assert holm([0.5, 0.01, 0.02]) == pytest.approx([0.5, 0.03, 0.04])
    assert holm([0.01, 0.01], 5) == pytest.approx([0.05, 0.05])


@pytest.mark.parametrize("pair", [(0, 0), (5, 0), (9, 2), (40, 38), (7, 7)])
def test_mcnemar_is_the_exact_binomial_test(pair: tuple[int, int]) -> None:
    """Two-sided, at one half."""
    expected = binomtest(pair[0], sum(pair)).pvalue if any(pair) else 1.0
    assert McNemar(100, *pair, 10).p == pytest.approx(expected)


def test_a_comparison_does_not_wait_for_scipy_stats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its import took half of the time that a comparison of a thousand runs may take."""
    monkeypatch.setitem(sys.modules, "scipy.stats", None)  # an import of it fails
    assert McNemar(100, 9, 2, 10).p == pytest.approx(0.0654, abs=1e-4)
    paired = difference_over_seeds({0: 0.9, 1: 0.91, 2: 0.95}, {0: 0.8, 1: 0.85, 2: 0.86})
    assert paired is not None
    # gaps of 10, 6 and 9 points: mean 8.333, std 2.0817, error 1.2019, t(2) 6.934 and 4.3027
    assert paired.p == pytest.approx(0.0202, abs=1e-4)
    assert paired.interval == pytest.approx((0.0316, 0.1350), abs=1e-4)
    assert paired.num_needed == 3
