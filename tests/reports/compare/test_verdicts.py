"""The answer in words."""

from __future__ import annotations

import math

import pytest
from synthetic_differences import differences, fixed, masks, told

from expkit.metrics.p_values import p_value
from expkit.metrics.seed_differences import difference_over_seeds
from expkit.metrics.significance import adjust
from expkit.reports.compare.verdicts import ends_shown, judge, methods_of


def test_log_4_has_no_evidence() -> None:
    """94.21 against 94.05 % is 1155 against 1153 of 1226: two samples, which prove nothing."""
    ours, theirs = masks(1125, 30, 28, 43)
    assert (ours.sum(), theirs.sum(), len(ours)) == (1155, 1153, 1226)
    found = differences(told(ours), told(theirs))["accuracy"]
    verdict = judge("accuracy", found)
    assert verdict.word == "no evidence of a difference"
    assert verdict.text == (
        "no evidence of a difference (2 of 1226 samples; p = 0.9, McNemar's exact test; about "
        "140,000 samples would show it, at 80 % power and the 5 % level)"
    )


@pytest.mark.parametrize(("counts", "word"), [((30, 8), "better"), ((8, 30), "worse")])
def test_a_difference_that_is_seen(counts: tuple[int, int], word: str) -> None:
    """With its size in samples, its p and its test."""
    ours, theirs = masks(1100, *counts, 60)
    found = differences(told(ours), told(theirs))["accuracy"]
    verdict = judge("accuracy", found)
    assert verdict.word == word
    p = 2 * sum(math.comb(38, k) for k in range(9)) / 2**38
    assert f"22 of 1198 samples; p = {p:.5f}, McNemar's exact test" in verdict.text


def test_less_loss_is_better() -> None:
    """The sign of a difference means nothing without the metric."""
    found = fixed(0.001, -0.1)
    assert judge("val/log_loss", found).word == "better"
    assert judge("auroc", found).word == "worse"


def test_as_many_right() -> None:
    """Of a difference of nothing no number of samples is named."""
    found = differences(*map(told, masks(90, 5, 5, 0)))["accuracy"]
    text = judge("accuracy", found).text
    assert text.endswith("(0 of 100 samples; p = 1, McNemar's exact test)")


def test_what_holm_takes_back_is_said() -> None:
    """A p of 0.02 alone is no proof among five."""
    (found,) = adjust([fixed(0.02)], 5)
    verdict = judge("macro_f1", found)
    assert verdict.word == "no evidence of a difference"
    assert "p = 0.1, paired t test; p = 0.02 alone, before Holm's correction for 5" in verdict.text


def test_needed_among_many_is_at_the_level_among_many() -> None:
    """The place in Holm's order, 5 % / 8, is said."""
    (found,) = adjust([fixed(0.3)], 8)
    assert judge("accuracy", found).text.endswith("at 80 % power and the 0.62 % level)")


def test_p_is_never_rounded_over_the_level() -> None:
    """0.0496 is below 0.05, and is not shown as 0.05."""
    shown = [p_value(p) for p in (0.0496, 0.0504, 0.2, 0.00001)]
    assert shown == ["= 0.0496", "= 0.05", "= 0.2", "< 0.0001"]


def test_an_end_beside_0_is_not_shown_as_0() -> None:
    """With so many digits as it takes; 0 itself is."""
    assert ends_shown("accuracy", (0.00001, 0.2)) == "+0.001 to +20.00"
    assert ends_shown("accuracy", (0.0, 0.2)) == "+0.00 to +20.00"


def test_the_method_is_said_once_for_each_test() -> None:
    """That p and interval are of one method, and agree."""
    found = differences(*map(told, masks(80, 9, 2, 9)))
    sentences = methods_of((name, found[name]) for name in ("accuracy", "macro_f1", "log_loss"))
    assert len(sentences) == 2
    assert sentences[0].startswith("accuracy: p and interval are both of McNemar's exact test")
    assert sentences[1].startswith("macro_f1, log_loss: p and interval are both of the paired")


def test_over_seeds() -> None:
    """The interval stands in the words, with the seeds that would do."""
    found = difference_over_seeds({0: 0.90, 1: 0.93, 2: 0.92}, {0: 0.91, 1: 0.91, 2: 0.91})
    assert found is not None
    text = judge("accuracy", found).text
    assert text.startswith("no evidence of a difference (+0.67 points (")
    assert "3 seeds; p = " in text
    assert "about 4" in text


def test_one_run_against_several_says_how_many_there_are() -> None:
    """The test rests on the std of three seeds; "1 seed" would have none.

    By hand: the gap is -0.01 with std 0.01 on both sides, so t = -0.01 / (0.01 sqrt(1 + 1/3)).
    """
    found = difference_over_seeds({5: 0.90}, {0: 0.90, 1: 0.91, 2: 0.92})
    assert found is not None
    text = judge("accuracy", found).text
    assert "1 seed against 3; the std of one run is not known, and taken to be the others'" in text
    assert found.method.p == pytest.approx(0.4778, abs=1e-4)
    both = difference_over_seeds({5: 0.90, 6: 0.91}, {0: 0.90, 1: 0.91, 2: 0.92})
    assert both is not None
    assert "2 seeds against 3; p = " in judge("accuracy", both).text
