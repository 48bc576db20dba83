"""McNemar's exact test and the samples that a difference needs, by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from expkit.metrics.mcnemar import McNemar, round_up


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


def test_all_of_one_side_bound_the_interval_by_hand() -> None:
    """5 against 0 of 202: the split is at least 0.025^(1/5) = 0.478, so 0 lies in the interval.

    Its other end is that of how many samples are discordant: (2 x 1 - 1) x the upper 97.5 % of
    beta(5.5, 197.5).
    """
    low, high = McNemar(190, 5, 0, 7).interval()
    assert low == pytest.approx((2 * 0.025**0.2 - 1) * 5 / 202, abs=0.0008)
    assert low < 0
    assert high == pytest.approx(stats.beta.ppf(0.975, 5.5, 197.5))


def test_many_discordant_samples_have_the_normal_interval() -> None:
    """3000 against 1000 of 40,000: 5 points; variance (0.1 - 0.0025) / 40,000."""
    low, high = McNemar(30_000, 3_000, 1_000, 6_000).interval()
    half = 1.959964 * math.sqrt(0.0975 / 40_000)
    assert (low, high) == pytest.approx((0.05 - half, 0.05 + half), abs=1e-4)


def test_no_discordant_sample_still_leaves_a_difference_open() -> None:
    """Two models alike on 100 samples may differ on others, to either side."""
    low, high = McNemar(90, 0, 0, 10).interval()
    assert low == -high
    assert 0.02 < high < 0.03


@pytest.mark.parametrize("num_samples", [13, 60, 1000])
def test_the_interval_excludes_0_exactly_where_p_is_below_the_level(num_samples: int) -> None:
    """Over all small tables, and at levels of Holm's order; the difference lies within it."""
    for ours, theirs in itertools.product(range(14), repeat=2):
        counts = McNemar(num_samples - ours - theirs, ours, theirs, 0)
        if counts.both_right < 0 or ours < theirs:
            continue
        for level in (0.05, 0.025, 0.05 / 7):
            low, high = counts.interval(level)
            assert (low > 0 or high < 0) == (counts.p < level)
            assert low <= counts.num_more / num_samples <= high


@pytest.mark.parametrize(("discordant", "split"), [(0.1, 0.5), (0.1, 0.7), (0.05, 1.0), (0.3, 0.9)])
def test_intervals_cover_in_95_of_100(discordant: float, split: float) -> None:
    """Every possible table of 80 samples, weighed by its probability; p is below 0.05 as rarely."""
    covered = shown = 0.0
    gap = discordant * (2 * split - 1)
    for count in range(81):
        weight = stats.binom.pmf(count, 80, discordant)
        if weight < 1e-4:
            continue
        for ours in range(count + 1):
            table = McNemar(80 - count, ours, count - ours, 0)
            probability = weight * stats.binom.pmf(ours, count, split)
            if probability < 1e-5:
                continue
            low, high = table.interval()
            covered += probability * (low <= gap <= high)
            shown += probability * (table.p < 0.05)
    assert covered > 0.945
    if split == 0.5:
        assert shown < 0.05


def test_samples_needed_by_hand() -> None:
    """Connor's formula with discordant 0.1 and difference 0.05, and nothing where none differs."""
    root = 1.959964 * math.sqrt(0.1) + 0.841621 * math.sqrt(0.1 - 0.0025)
    assert root**2 / 0.05**2 == pytest.approx(311.6, abs=0.1)
    assert McNemar(300, 30, 10, 60).num_needed() == 320
    assert McNemar(300, 20, 20, 60).num_needed() is None


def test_samples_needed_for_a_large_difference() -> None:
    """Discordant 0.6, ahead 0.4: (1.96 x 0.7746 + 0.8416 x 0.6633)^2 / 0.16 = 26.9.

    Without the 0.16 that are taken from 0.6 under the second root it would be 29.5.
    """
    assert McNemar(10, 50, 10, 30).num_needed() == 27


def test_fewer_than_six_differing_samples_prove_nothing() -> None:
    """Connor's formula says 4 where all differ: 2 / 2^4 is no proof, and 5 of 5 had them."""
    for count in (1, 3, 5):
        assert McNemar(0, count, 0, 0).num_needed() == 6
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
