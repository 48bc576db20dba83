"""Differences and their noise: by hand, by scipy, and by theory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from expkit.records.predictions import ClassPredictions, ValuePredictions
from expkit.reports.metrics import measure
from expkit.reports.significance import (
    Answers,
    difference_over_seeds,
    differences_on_samples,
    holm,
)


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
    return differences_on_samples(Answers(ours, list(mine)), Answers(theirs, list(mine)), figures)


def test_accuracy_has_the_exact_test_and_a_paired_interval() -> None:
    """30 against 10 of 400: the interval is that of the pairs, 3 points, not of two samples."""
    found = differences(*map(told, masks(300, 30, 10, 60)))["accuracy"]
    assert found.value == pytest.approx(0.05)
    assert found.p == pytest.approx(stats.binomtest(30, 40).pvalue)
    half = 1.96 * math.sqrt((0.1 - 0.05**2) / 400)
    assert found.interval == pytest.approx((0.05 - half, 0.05 + half), abs=0.004)


def test_log_loss_agrees_with_a_paired_z_test() -> None:
    """A mean of differences of the samples has the standard error of a mean."""
    ours, theirs = (told(mask) for mask in masks(150, 30, 10, 60))
    found = differences(ours, theirs)["log_loss"]
    gap = math.log(0.9) - math.log(0.1)  # a sample that only ours has right costs so much less
    gaps = np.array([0] * 150 + [-gap] * 30 + [gap] * 10 + [0] * 60)
    error = gaps.std() / math.sqrt(250)
    assert found.value == pytest.approx(gaps.mean(), abs=1e-6)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(gaps.mean()) / error), rel=0.35)
    needed = ((1.96 + 0.8416) * gaps.std() / gaps.mean()) ** 2
    assert found.num_needed == pytest.approx(needed, rel=0.15)


def test_every_metric_that_can_be_resampled_has_a_difference() -> None:
    """Also the areas and F1; the calibration error has none, as every resample is biased."""
    ours, theirs = (told(mask) for mask in masks(150, 30, 10, 60))
    found = differences(ours, theirs)
    assert found.keys() == measure(ours).keys() - {"calibration_error"}
    assert all(each.interval is not None for each in found.values())


def test_a_class_has_a_difference() -> None:
    """The recall of the second class alone, of which all samples that differ are."""
    ours, theirs = (told(mask) for mask in masks(200, 20, 0, 20))
    name = "recall[pit]"
    mine, other = Answers(ours, [name]), Answers(theirs, [name])
    found = differences_on_samples(mine, other, {name: (110 / 120, 100 / 120)})[name]
    assert found.value == pytest.approx(10 / 120)
    assert found.interval is not None
    assert found.interval[0] < 10 / 120 < found.interval[1]


def test_alike_models_do_not_differ() -> None:
    """No interval, as no resample says anything, and the least evidence there is."""
    same = told([True] * 30 + [False] * 10)
    found = differences(same, same)
    assert {each.p for each in found.values()} == {1.0}
    assert {each.interval for each in found.values()} == {None}


def test_all_against_nothing_is_seen() -> None:
    """A difference that every resample has, too: by the sign test it is no luck."""
    found = differences(told([True] * 20), told([False] * 20))
    assert found["accuracy"].p == pytest.approx(2**-19)
    assert found["macro_f1"].p == pytest.approx(2**-19)


def test_very_many_samples_have_an_interval_of_accuracy() -> None:
    """Where resampling would take minutes, theory serves."""
    ours, theirs = (told(mask) for mask in masks(40_000, 9_000, 8_000, 3_100))
    found = differences(ours, theirs)
    assert found.keys() == {"accuracy"}
    half = 1.96 * math.sqrt((17_000 / 60_100 - (1 / 60.1) ** 2) / 60_100)
    assert found["accuracy"].interval == pytest.approx((1 / 60.1 - half, 1 / 60.1 + half), abs=1e-6)


def test_regression_is_compared() -> None:
    """Errors of twice the size: rmse, mae and r2 all differ, beyond luck."""
    random = np.random.default_rng(0)
    targets = random.normal(0, 1, (200, 1)).astype(np.float32)
    errors = random.normal(0, 0.1, (200, 1)).astype(np.float32)
    names = [str(i) for i in range(200)]
    ours, theirs = (
        ValuePredictions("val", names, targets, targets + scale * errors, ["x"]) for scale in (1, 2)
    )
    mine, other = measure(ours), measure(theirs)
    figures = {name: (mine[name], other[name]) for name in mine}
    found = differences_on_samples(Answers(ours, []), Answers(theirs, []), figures)
    assert found["rmse"].value == pytest.approx(-mine["rmse"], rel=1e-3)
    assert all(each.p < 0.001 for each in found.values())


def test_the_same_seeds_are_paired() -> None:
    """As scipy's t test of pairs; unpaired, the seeds' own spread would hide the difference."""
    ours, theirs = {0: 0.91, 1: 0.95, 2: 0.93}, {2: 0.92, 1: 0.94, 0: 0.895}
    found = difference_over_seeds(ours, theirs)
    expected = stats.ttest_rel([0.91, 0.95, 0.93], [0.895, 0.94, 0.92])
    assert found is not None
    assert (found.test, found.count) == ("paired t test", 3)
    assert found.p == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval()
    assert found.interval == pytest.approx((ends.low, ends.high))


def test_other_seeds_are_welchs() -> None:
    """As scipy's t test without equal variances."""
    ours, theirs = {0: 0.91, 1: 0.95, 2: 0.93}, {3: 0.90, 4: 0.91}
    found = difference_over_seeds(ours, theirs)
    expected = stats.ttest_ind([0.91, 0.95, 0.93], [0.90, 0.91], equal_var=False)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval()
    assert found.interval == pytest.approx((ends.low, ends.high))


def test_one_seed_against_several_by_hand() -> None:
    """The one's spread is taken to be the others': s sqrt(1 + 1/n) with n - 1 degrees."""
    found = difference_over_seeds({0: 0.97}, {0: 0.90, 1: 0.92, 2: 0.94})
    error = 0.02 * math.sqrt(1 + 1 / 3)
    assert found is not None
    assert found.value == pytest.approx(0.05)
    assert found.p == pytest.approx(2 * stats.t.sf(0.05 / error, 2))
    assert difference_over_seeds({0: 0.97}, {0: 0.9}) is None


@pytest.mark.parametrize(
    ("theirs", "p"),
    [
        ({0: 0.5, 1: 0.5, 2: 0.5}, 0.25),
        ({3: 0.5, 4: 0.5, 5: 0.5}, 0.1),
        ({0: 0.9, 1: 0.9, 2: 0.9}, 1),
    ],
)
def test_seeds_that_do_not_vary_prove_as_much_as_signs_do(
    theirs: dict[int, float], p: float
) -> None:
    """2 of 2^3 signs, 2 of 20 ways to part six; three seeds that agree are not certainty."""
    found = difference_over_seeds({0: 0.9, 1: 0.9, 2: 0.9}, theirs)
    assert found is not None
    assert found.p == pytest.approx(p)
    assert found.interval is None


def test_as_many_seeds_as_needed_have_a_power_of_80_percent() -> None:
    """By the noncentral t distribution, where seeds are few; for one fewer it is less."""
    found = difference_over_seeds({0: 0.5, 1: 1.5, 2: 3.25}, {0: 0, 1: 0, 2: 0})
    assert found is not None
    assert found.num_needed is not None
    spread = np.std([0.5, 1.5, 3.25], ddof=1)
    powers = [
        stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, found.value / spread * math.sqrt(n))
        for n in (found.num_needed - 1, found.num_needed)
    ]
    assert powers[0] < 0.8
    assert powers[1] == pytest.approx(0.8, abs=0.07)


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, then never less than the one before, never more than 1."""
    assert holm([0.04, 0.01, 0.6, 0.02]) == pytest.approx([0.08, 0.04, 0.6, 0.06])
    assert holm([0.02, 0.021]) == pytest.approx([0.04, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_holm_counts_those_that_are_not_shown() -> None:
    """The best of ten is not the only one that was tried."""
    assert holm([0.01, 0.02], 10) == pytest.approx([0.1, 0.18])
