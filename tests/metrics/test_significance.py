"""Differences and their noise: by hand, by scipy, and by theory."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from synthetic_differences import differences, fixed, masks, told

from expkit.metrics.classification import measure, measure_each_class
from expkit.metrics.mcnemar import McNemar
from expkit.metrics.p_values import holm
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.metrics.ranking import Ranker, influence_on_auroc, influence_on_average_precision
from expkit.metrics.sample_contributions import Contributions, contributions_of
from expkit.metrics.seed_differences import difference_over_seeds
from expkit.metrics.sign_flip_test import flip_signs
from expkit.metrics.significance import adjust, differences_on_samples


def test_accuracy_has_the_exact_test_and_its_interval() -> None:
    """30 against 10 of 400: the interval is that of the pairs, 3 points, not of two samples."""
    found = differences(*map(told, masks(300, 30, 10, 60)))["accuracy"]
    assert found.value == pytest.approx(0.05)
    assert found.p == pytest.approx(stats.binomtest(30, 40).pvalue)
    half = 1.96 * math.sqrt((0.1 - 0.05**2) / 400)
    assert found.interval == pytest.approx((0.05 - half, 0.05 + half), abs=0.004)


@pytest.mark.parametrize(
    ("ours", "theirs", "is_shown"), [(9, 2, False), (5, 0, False), (6, 0, True)]
)
def test_interval_and_verdict_agree(ours: int, theirs: int, is_shown: bool) -> None:
    """9 against 2 has an exact p of 0.065, 5 against 0 of 0.0625, 6 against 0 of 0.031."""
    found = differences(*map(told, masks(80, ours, theirs, 9)))
    for name in found:
        each, (low, high) = found[name], found[name].interval
        assert each.is_shown == (low > 0 or high < 0), name
    assert found["accuracy"].is_shown == is_shown
    assert found["accuracy"].p == pytest.approx(stats.binomtest(ours, ours + theirs).pvalue)


def test_the_sign_flip_test_of_a_fraction_is_mcnemars() -> None:
    """All 2^11 signs of eleven equal parts: as many are as far from 0 as of eleven fair coins."""
    gap, part = 7 / 100, np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 89) / 100
    flips = flip_signs({"x": gap}, {"x": Contributions(part, 100)})["x"]
    assert flips.p == pytest.approx(stats.binomtest(9, 11).pvalue)
    assert flips.interval(0.05) == pytest.approx((0, 0.14))


def test_drawn_signs_agree_with_all_of_them() -> None:
    """Those of 13 samples have all 2^13 signs; one more, next to nothing, has 9,999 draws."""
    parts = np.random.default_rng(3).normal(0.4, 1, 13)
    found = [
        flip_signs({"x": parts.sum()}, {"x": Contributions(values, len(values))})["x"]
        for values in (parts, np.append(parts, 1e-9))
    ]
    assert found[0].p == pytest.approx(found[1].p, abs=0.012)
    assert found[0].sums is not None
    assert len(found[0].sums) == 2**13
    ends = [each.interval(0.05) for each in found]
    assert ends[0] == pytest.approx(ends[1], abs=0.2)


def test_an_older_log_loss_proves_nothing_by_its_clipping() -> None:
    """One sample at 0 probability, which older records have with 87: it is 36, and one of 40."""
    ours = told([True] * 40)
    theirs = replace(ours, probabilities=ours.probabilities.copy())
    theirs.probabilities[0, ours.targets[0]] = 0
    found = differences_on_samples(ours, theirs, {"log_loss": (0.105, 2.28)})["log_loss"]
    assert found.value == pytest.approx((-math.log(0.9) - 36.04) / 40, abs=0.001)
    assert found.p == 1


@pytest.mark.slow
def test_alike_models_are_told_apart_in_5_of_100_and_intervals_cover_in_95() -> None:
    """300 draws of 60 samples with skewed losses: alike in one half, 0.4 apart in the other."""
    random = np.random.default_rng(0)
    shown, covered = [], []
    for number in range(300):
        gap = 0.4 * (number % 2)
        values = (random.exponential(1, 60) - random.exponential(1, 60) + gap) / 60
        flips = flip_signs({"x": values.sum()}, {"x": Contributions(values, 60)})["x"]
        low, high = flips.interval(0.05)
        covered.append(low <= gap <= high)
        if not gap:
            shown.append(flips.p < 0.05)
    assert np.mean(shown) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)
    assert np.mean(covered) > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)


def test_very_many_parts_have_a_normal_sum() -> None:
    """10,001 parts: erfc by hand, and the interval that agrees with it."""
    parts = np.random.default_rng(0).normal(0.02, 1, 10_001)
    flips = flip_signs({"x": parts.sum()}, {"x": Contributions(parts, 10_001)})["x"]
    error = math.sqrt((parts**2).sum())
    assert flips.p == pytest.approx(2 * stats.norm.sf(abs(parts.sum()) / error))
    assert flips.interval(flips.p * 1.01)[0] > 0 > flips.interval(flips.p * 0.99)[0]


def test_log_loss_agrees_with_a_paired_z_test() -> None:
    """A mean of differences of the samples has the standard error of a mean.

    As all of them are of one size here, the exact test is of 30 heads in 40 coins.
    """
    ours, theirs = (told(mask) for mask in masks(150, 30, 10, 60))
    found = differences(ours, theirs)["log_loss"]
    gap = math.log(0.9) - math.log(0.1)  # a sample that only ours has right costs so much less
    gaps = np.array([0] * 150 + [-gap] * 30 + [gap] * 10 + [0] * 60)
    assert found.value == pytest.approx(gaps.mean(), abs=1e-6)
    assert found.p == pytest.approx(stats.binomtest(30, 40).pvalue, abs=0.001)
    half = 1.96 * math.sqrt((gaps**2).mean() / 250)
    assert found.interval == pytest.approx((found.value - half, found.value + half), rel=0.06)
    needed = ((1.96 + 0.8416) * gaps.std() / gaps.mean()) ** 2
    assert found.num_needed == pytest.approx(needed, rel=0.15)


def test_every_metric_that_can_be_resampled_has_a_difference() -> None:
    """Also the areas and F1; the calibration error has none, as every resample is biased."""
    ours, theirs = (told(mask) for mask in masks(150, 30, 10, 60))
    found = differences(ours, theirs)
    assert found.keys() == measure(ours).keys() - {"calibration_error", "aurc"}
    assert all(each.interval is not None for each in found.values())


def test_recall_is_tested_on_the_samples_of_its_class() -> None:
    """3 against 0 of the class's 8, of 202 samples in all: two of 2^3 signs, p = 0.25."""
    right = np.ones(202, bool)
    ours, theirs = classes_of(8, right), classes_of(8, np.r_[[False] * 3, [True] * 199])
    found = differences_on_samples(ours, theirs, {"recall[rare]": (1, 5 / 8)})["recall[rare]"]
    assert (found.value, found.count) == (3 / 8, 8)
    assert found.p == pytest.approx(0.25)
    assert found.interval is not None
    assert found.interval[0] < 0
    assert found.counts == McNemar(5, 3, 0, 0)


def classes_of(num_rare: int, right: np.ndarray) -> ClassPredictions:
    """The first samples are of the rare class; the wrong ones are answered with the other."""
    targets = (np.arange(len(right)) >= num_rare).astype(int)
    answered = np.where(right, targets, 1 - targets)
    probabilities = np.full((len(right), 2), 0.1, np.float32)
    probabilities[np.arange(len(right)), answered] = 0.9
    names = [str(i) for i in range(len(right))]
    ranks = (~right).astype(int)
    return ClassPredictions(
        "val", names, targets, answered, ranks, probabilities, ["rare", "other"]
    )


def test_precision_is_tested_on_the_samples_that_are_answered_otherwise() -> None:
    """Ours answers rare to 8 samples, all right, theirs to those and 4 others: 8 / 8, 8 / 12.

    The mean precision is 10 / 12, of 10 answers: each of the four is worth 1 / 12, and the 8 that
    both answer alike are worth nothing. All four have one sign, two of 2^4.
    """
    ours = classes_of(8, np.ones(40, bool))
    theirs = classes_of(8, np.r_[[True] * 36, [False] * 4])
    name = "precision[rare]"
    parts = contributions_of(ours, theirs, [name])[name]
    assert parts.values[-4:] == pytest.approx(1 / 12)
    assert not parts.values[:-4].any()
    assert parts.values.sum() == pytest.approx(1 - 8 / 12)
    found = differences_on_samples(ours, theirs, {name: (1, 8 / 12)})[name]
    assert found.count == 12
    assert found.p == pytest.approx(2 / 2**4)


def test_three_samples_prove_nothing_in_any_metric() -> None:
    """Of 202, 199 are answered alike: there are 2^3 ways to swap the answers, and two as good.

    An area's parts are derivatives, so that the observed one is a ninth.
    """
    right = np.ones(202, bool)
    ours, theirs = classes_of(8, right), classes_of(8, np.r_[[False] * 3, [True] * 199])
    mine, other = (figures_of(side) for side in (ours, theirs))
    names = [name for name in mine if mine[name] != other[name]]
    found = differences_on_samples(
        ours, theirs, {name: (mine[name], other[name]) for name in names}
    )
    assert {"macro_f1", "f1[rare]", "precision[other]", "auroc", "log_loss"} <= found.keys()
    for name, each in found.items():
        assert each.p >= 1 / 9, name
        assert each.interval is not None, name
        assert each.interval[0] <= 0 <= each.interval[1], name


@pytest.mark.parametrize("metric", ["auroc", "average_precision"])
def test_parts_of_areas_are_their_derivatives(metric: str) -> None:
    """By the sample's weight, with ties: as Ranker has the area when one sample weighs more."""
    random = np.random.default_rng(0)
    belongs = random.random(40) < 0.4
    scores = np.round(random.normal(belongs), 1)
    ranker, more = Ranker.of(belongs, scores), 1e-6
    number = ["auroc", "average_precision"].index(metric)
    base = ranker.areas(np.ones((1, 40)))[number]
    raised = ranker.areas(np.ones((40, 40)) + more * np.eye(40))[number]
    influence = (influence_on_auroc, influence_on_average_precision)[number](belongs, scores)
    assert influence == pytest.approx((raised - base) / more, abs=1e-6)


def test_parts_sum_to_the_difference() -> None:
    """Of every metric that is made of sums; three classes, one of which ours never answers."""
    random = np.random.default_rng(1)
    targets = random.integers(0, 3, 60)
    sides = []
    for num_answered in (3, 3):
        probabilities = random.dirichlet(np.ones(num_answered), 60).astype(np.float32)
        right = probabilities[np.arange(60), targets]
        ranks = (probabilities > right[:, None]).sum(1)
        names = [str(i) for i in range(60)]
        args = targets, probabilities.argmax(1), ranks, probabilities, ["a", "b", "c"]
        sides.append(ClassPredictions("val", names, *args))
    figures = [figures_of(side) for side in sides]
    parts = contributions_of(*sides, figures[0])
    assert parts.keys() == figures[0].keys() - {"accuracy", "calibration_error", "aurc"}
    for name in parts.keys() - {"auroc", "average_precision"}:
        gap = figures[0][name] - figures[1][name]
        assert parts[name].values.sum() == pytest.approx(gap, abs=1e-6)


def figures_of(predictions: ClassPredictions) -> dict[str, float]:
    each = {
        f"{metric}[{row.name}]": getattr(row, metric)
        for row in measure_each_class(predictions)
        for metric in ("precision", "recall", "f1")
    }
    return {**measure(predictions), **each}


def test_alike_models_do_not_differ() -> None:
    """The least evidence there is; what so few samples leave open is known of fractions alone."""
    same = told([True] * 30 + [False] * 10)
    found = differences(same, same)
    assert {each.p for each in found.values()} == {1.0}
    assert found["log_loss"].interval is None
    assert found["accuracy"].interval == pytest.approx((-0.06, 0.06), abs=0.01)


def test_all_against_nothing_is_seen() -> None:
    """All of 2^20 signs, or of 9,999 draws of them, that all agree are no luck."""
    found = differences(told([True] * 20), told([False] * 20))
    assert found["accuracy"].p == pytest.approx(2**-19)
    assert found["macro_f1"].p == pytest.approx(1e-4, abs=1e-4)


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
    found = differences_on_samples(ours, theirs, figures)
    assert found["rmse"].value == pytest.approx(-mine["rmse"], rel=1e-3)
    assert all(each.p < 0.001 for each in found.values())


def test_the_same_seeds_are_paired() -> None:
    """As scipy's t test of pairs; unpaired, the seeds' own spread would hide the difference."""
    ours, theirs = {0: 0.91, 1: 0.95, 2: 0.93}, {2: 0.92, 1: 0.94, 0: 0.895}
    found = difference_over_seeds(ours, theirs)
    expected = stats.ttest_rel([0.91, 0.95, 0.93], [0.895, 0.94, 0.92])
    assert found is not None
    assert (found.method.test, found.count) == ("paired t test", 3)
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


def test_each_interval_has_the_level_of_its_place_in_holms_order() -> None:
    """0.01 is held to 0.05 / 4; 0.02 is not below 0.05 / 3, at which the order stops for all."""
    found = adjust([fixed(p) for p in (0.04, 0.01, 0.6, 0.02)])
    assert [each.level for each in found] == pytest.approx([0.05 / 3, 0.05 / 4, 0.05 / 3, 0.05 / 3])
    assert [each.p for each in found] == pytest.approx([0.08, 0.04, 0.6, 0.06])
    assert [each.p_alone for each in found] == pytest.approx([0.04, 0.01, 0.6, 0.02])


def test_adjusted_p_and_interval_never_contradict_each_other() -> None:
    """Over many sets of comparisons, some of which are passed over."""
    random = np.random.default_rng(0)
    for _ in range(300):
        p_values = random.random(random.integers(1, 7)) ** 4
        for each in adjust([fixed(p) for p in p_values], len(p_values) + random.integers(0, 3)):
            assert each.interval is not None
            assert (each.interval[0] > 0) == (each.p < 0.05)


def test_more_samples_are_needed_among_many() -> None:
    """At a level of 0.05 / 8, by Connor's formula with its quantile, 2.734, in place of 1.960."""
    (alone,) = adjust([differences(*map(told, masks(300, 12, 8, 80)))["accuracy"]])
    (among,) = adjust([alone], 8)
    root = 2.734 * math.sqrt(0.05) + 0.8416 * math.sqrt(0.05 - 0.01**2)
    assert among.num_needed == pytest.approx(root**2 / 0.01**2, rel=0.03)
    assert alone.num_needed is not None
    assert alone.num_needed < among.num_needed
