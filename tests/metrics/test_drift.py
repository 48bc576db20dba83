"""Drift by hand: exact tests of fractions, the z test of levels, and no alarm from few images."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from expkit.metrics.drift import (
    Comparison,
    Counts,
    DriftWatch,
    HeldOut,
    Seen,
    TrainingImages,
    compare_fractions,
    compare_levels,
)

HELD_OUT = HeldOut(low=0.6, num_low=10, class_counts={"clean": 60, "pit": 40})
TRAIN = TrainingImages(
    channels=("grey",),
    levels=(100.0,),
    stds=(10.0,),
    brightness=(93.0, 107.0),
    num_images=400,
    grain=(1.0, 2.0),
    num_grain=300,
)
USUAL = Seen("clean", 0.9, (100.0,), 1.5)


def by_name(figures: list[Comparison] | tuple[Comparison, ...]) -> dict[str, Comparison]:
    return {each.name: each for each in figures}


def watch_with(num_looks: int = 0) -> DriftWatch:
    return DriftWatch(HELD_OUT, None, num_looks=num_looks)


def of_low(count: int, total: int) -> list[Seen]:
    """As many clean and pit ones as held out, of which so many are of low confidence."""
    return [Seen("clean" if i % 5 < 3 else "pit", 0.5 if i < count else 0.9) for i in range(total)]


def test_fractions_have_fishers_exact_test() -> None:
    """5 of 10 against 1 of 10: (C(6,5) C(14,5) + C(14,4)) / C(20,10) = 13013 / 184756."""
    counts = Counts("low", 5, 10, 1, 10, "held-out samples")
    more, two_sided = compare_fractions([replace(counts, only_more=True), counts])
    assert more.p == pytest.approx(13013 / 184756)
    assert two_sided.p == pytest.approx(2 * 13013 / 184756)
    assert (two_sided.value, two_sided.expected) == (0.5, 0.1)


def test_fewer_than_a_quarter_beyond_a_quartile_say_nothing() -> None:
    """Of training images that are all alike none is beyond one either."""
    (found,) = compare_fractions([Counts("dark", 0, 200, 100, 400, "train", only_more=True)])
    assert found.p == 1
    assert found.at_most


def test_levels_have_the_z_test() -> None:
    """(20 - 18) / (10 sqrt(1/100 + 1/100)) = sqrt(2), and erfc(1) is its p."""
    found = compare_levels("mean grey", [15.0, 25.0] * 50, 18.0, 10.0, 100)
    assert found.p == pytest.approx(math.erfc(1.0))
    assert (found.value, found.expected) == (20.0, 18.0)
    # the std of the values is 5 sqrt(100 / 99)
    assert found.interval[1] == pytest.approx(20 + 1.959964 * 5 / math.sqrt(99))


def test_a_channel_without_spread_is_compared_by_levels_not_by_rounding() -> None:
    """The green channel of the cherries is 0 in all images; 0.01 in new ones is rounding."""
    assert compare_levels("mean green", [0.01] * 200, 0.0, 0.0, 4000).p > 0.8
    assert compare_levels("mean green", [5.0] * 200, 0.0, 0.0, 4000).p < 1e-50


def test_no_alarm_is_given_for_few_images() -> None:
    """49 images, however strange, are not looked at; with the 50th they are."""
    watch = DriftWatch(HELD_OUT, TRAIN)
    strange = Seen("pit", 0.1, (250.0,), 30.0)
    assert [watch.add(strange) for _ in range(49)] == [None] * 49
    look = watch.add(strange)
    assert look is not None
    assert {each.name for each in look.began} == {
        *("confidence below 0.6", "predicted pit", "mean grey"),
        *("brighter than three quarters", "more grain than three quarters"),
    }


def test_images_like_those_of_training_are_no_drift() -> None:
    watch = DriftWatch(HELD_OUT, TRAIN)
    looks = [watch.add(each) for each in of_low(5, 50)]
    assert looks[-1] is not None
    assert looks[-1].began == []
    assert watch.differing == set()


def test_figures_are_those_of_the_last_200_images() -> None:
    watch = watch_with()
    for each in [*of_low(200, 200), *of_low(20, 200)]:
        watch.add(each)
    assert watch.last is not None
    low = by_name(watch.last.figures)["confidence below 0.6"]
    assert (low.value, low.num_images, low.expected) == (0.1, 200, 0.1)


def test_drift_is_told_when_it_begins_and_when_it_ends_and_not_between() -> None:
    watch = watch_with()
    said = {}
    for place, each in enumerate([*of_low(5, 50), *of_low(150, 150), *of_low(20, 200)], start=1):
        look = watch.add(each)
        if look is not None:
            said[place] = ([e.name for e in look.began], [e.name for e in look.ended])
    low = "confidence below 0.6"
    # 5 of 50 as held out, 55 of 100, ..., 120 of 200 at 300, 70 of 200 at 350, and 20 of 200
    assert said[50] == ([], [])
    assert said[100] == ([low], [])
    assert said[200] == said[300] == said[350] == ([], [])
    assert said[400] == ([], [low])


def test_each_further_look_is_held_to_a_lower_level() -> None:
    """The k-th to 0.05 / k(k + 1): what begins drift at the first look does not at the tenth."""
    window = of_low(17, 50)
    first, tenth = watch_with(), watch_with(num_looks=9)
    looks = [[watch.add(each) for each in window][-1] for watch in (first, tenth)]
    assert looks[0] is not None
    p = by_name(looks[0].figures)["confidence below 0.6"].p
    assert 0.05 / 110 < p < 0.05 / 2
    assert (first.differing, tenth.differing) == ({"confidence below 0.6"}, set())


def test_p_is_corrected_for_all_figures_of_a_look() -> None:
    """Two figures, as of two classes one is compared: the smaller p is twice that of its test."""
    watch = watch_with()
    for each in of_low(17, 50):
        watch.add(each)
    assert watch.last is not None
    (alone,) = compare_fractions([Counts("", 17, 50, 10, 100, "")])
    found = by_name(watch.last.figures)["confidence below 0.6"]
    assert found.p == pytest.approx(2 * alone.p)


def test_what_is_no_number_is_of_low_confidence() -> None:
    watch = watch_with()
    for _ in range(50):
        watch.add(Seen("clean", math.nan))
    assert watch.last is not None
    assert by_name(watch.last.figures)["confidence below 0.6"].value == 1


def test_of_a_regression_only_the_images_are_compared() -> None:
    watch = DriftWatch(None, TRAIN)
    for _ in range(50):
        watch.add(Seen(levels=(100.0,), grain=1.5))
    assert watch.last is not None
    assert "mean grey" in by_name(watch.last.figures)
    assert all(each.of == "training images" for each in watch.last.figures)


def test_watches_of_what_does_not_drift_stay_quiet() -> None:
    """Of 60 that look ten times at draws from the reference's own distribution, 3 may err."""
    random = np.random.default_rng(0)

    def draw(count: int) -> list[Seen]:
        return [
            Seen("ab"[label], confidence, (level,), grain)
            for label, confidence, level, grain in zip(
                random.integers(2, size=count).tolist(),
                random.uniform(0.5, 1, count).tolist(),
                random.normal(100, 10, count).tolist(),
                random.gamma(2, 1, count).tolist(),
                strict=True,
            )
        ]

    alarms = 0
    for _ in range(60):
        held_out, train = draw(300), draw(300)
        confidences = sorted(each.confidence or 0 for each in held_out)
        levels = [each.levels[0] for each in train if each.levels]
        grain = [each.grain or 0 for each in train]
        watch = DriftWatch(
            HeldOut(
                low=confidences[30],
                num_low=30,
                class_counts={c: sum(e.prediction == c for e in held_out) for c in "ab"},
            ),
            TrainingImages(
                channels=("grey",),
                levels=(float(np.mean(levels)),),
                stds=(float(np.std(levels)),),
                brightness=tuple(np.percentile(levels, [25, 75]).tolist()),
                num_images=300,
                grain=tuple(np.percentile(grain, [25, 75]).tolist()),
                num_grain=300,
            ),
        )
        alarms += any(look is not None and bool(look.began) for look in map(watch.add, draw(500)))
    assert alarms <= 3
