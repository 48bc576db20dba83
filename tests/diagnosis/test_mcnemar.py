"""McNemar's exact test and the samples that a difference needs, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from expkit.diagnosis.mcnemar import McNemar, round_up


def test_counts_by_hand() -> None:
    """Each of four samples falls into one of the four cells."""
    ours, theirs = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert McNemar.of(ours, theirs) == McNemar(1, 1, 1, 1)


@pytest.mark.parametrize(
    ("only_ours", "only_theirs", "p"),
    [
        (8, 2, 2 * (1 + 10 + 45) / 2**10),  # P(X <= 2) of ten fair coins, twice
        (6, 0, 2 / 2**6),
        (5, 5, 1),
        (0, 0, 1),
    ],
)
def test_p_is_that_of_fair_coins(only_ours: int, only_theirs: int, p: float) -> None:
    """Only the samples count that one of them has right and the other has not."""
    assert McNemar(90, only_ours, only_theirs, 3).p == pytest.approx(p)


def test_interval_by_hand() -> None:
    """30 against 10 of 400: 5 points; variance (0.1 - 0.0025) / 400."""
    low, high = McNemar(300, 30, 10, 60).interval
    half = 1.959964 * math.sqrt(0.0975 / 400)
    assert (low, high) == pytest.approx((0.05 - half, 0.05 + half))


def test_samples_needed_by_hand() -> None:
    """Connor's formula with discordant 0.1 and difference 0.05, and nothing where none differs."""
    root = 1.959964 * math.sqrt(0.1) + 0.841621 * math.sqrt(0.1 - 0.0025)
    assert root**2 / 0.05**2 == pytest.approx(311.6, abs=0.1)
    assert McNemar(300, 30, 10, 60).num_needed == 320
    assert McNemar(300, 20, 20, 60).num_needed is None


def test_samples_needed_for_a_large_difference() -> None:
    """Discordant 0.6, ahead 0.4: (1.96 x 0.7746 + 0.8416 x 0.6633)^2 / 0.16 = 26.9.

    Without the 0.16 that are taken from 0.6 under the second root it would be 29.5.
    """
    assert McNemar(10, 50, 10, 30).num_needed == 27


def test_fewer_than_six_differing_samples_prove_nothing() -> None:
    """Connor's formula says 4 where all differ: 2 / 2^4 is no proof, and 5 of 5 had them."""
    for count in (1, 3, 5):
        assert McNemar(0, count, 0, 0).num_needed == 6
    assert McNemar(0, 6, 0, 0).p == 2 / 2**6 < 0.05 < McNemar(0, 5, 0, 0).p


def test_as_many_samples_as_needed_have_a_power_of_80_percent() -> None:
    """Of 400 simulated studies of the size that is named, four of five find the difference."""
    random = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        both, ours, theirs, wrong = random.multinomial(320, [0.75, 0.075, 0.025, 0.15])
        found += McNemar(both, ours, theirs, wrong).p <= 0.05
    assert 0.72 < found / 400 < 0.88  # the exact test is a little careful


@pytest.mark.parametrize(
    ("number", "shown"), [(7.2, 8), (99.1, 100), (139_478, 140_000), (310, 310)]
)
def test_two_digits(number: float, shown: int) -> None:
    """Always up: fewer would not do."""
    assert round_up(number) == shown
