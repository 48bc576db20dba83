"""The answer in words."""

from __future__ import annotations

import math

import pytest
from test_report_significance import differences, masks, told

from expkit.reports.significance import Difference, difference_over_seeds
from expkit.reports.verdicts import judge


def test_log_4_has_no_evidence() -> None:
    """94.21 against 94.05 % is 1155 against 1153 of 1226: two samples, which prove nothing."""
    ours, theirs = masks(1125, 30, 28, 43)
    assert (ours.sum(), theirs.sum(), len(ours)) == (1155, 1153, 1226)
    found = differences(told(ours), told(theirs))["accuracy"]
    verdict = judge("accuracy", found, found.p)
    assert verdict.word == "no evidence of a difference"
    assert verdict.text == (
        "no evidence of a difference (2 of 1226 samples; "
        "about 140,000 samples would be needed to see it)"
    )


@pytest.mark.parametrize(("counts", "word"), [((30, 8), "better"), ((8, 30), "worse")])
def test_a_difference_that_is_seen(counts: tuple[int, int], word: str) -> None:
    """With its size in samples, its p and its test."""
    ours, theirs = masks(1100, *counts, 60)
    found = differences(told(ours), told(theirs))["accuracy"]
    verdict = judge("accuracy", found, found.p)
    assert verdict.word == word
    p = 2 * sum(math.comb(38, k) for k in range(9)) / 2**38
    assert f"22 of 1198 samples; p = {p:.5f}, McNemar's exact test" in verdict.text


def test_less_loss_is_better() -> None:
    """The sign of a difference means nothing without the metric."""
    found = Difference(-0.1, (-0.15, -0.05), 0.001, "paired bootstrap", "samples", 100, 20)
    assert judge("val/log_loss", found, 0.001).word == "better"
    assert judge("auroc", found, 0.001).word == "worse"


def test_as_many_right() -> None:
    """Of a difference of nothing no number of samples is named."""
    found = differences(*map(told, masks(90, 5, 5, 0)))["accuracy"]
    text = judge("accuracy", found, found.p).text
    assert "0 of 100 samples; no number of samples shows a difference of nothing" in text


def test_what_holm_takes_back_is_said() -> None:
    """A p of 0.02 alone is no proof among five."""
    found = Difference(0.01, (0.002, 0.018), 0.02, "paired bootstrap", "samples", 100, 90)
    verdict = judge("macro_f1", found, 0.1, 5)
    assert verdict.word == "no evidence of a difference"
    assert "p = 0.02 alone, p = 0.1 after Holm's correction for 5 comparisons" in verdict.text


def test_needed_among_many_is_not_too_sure() -> None:
    """What one comparison needs is not enough for one of eight."""
    found = Difference(0.01, (-0.01, 0.03), 0.3, "paired t test", "seeds", 1, 3)
    text = judge("accuracy", found, 1.0, 8).text
    assert text.endswith(
        "1 seed; about 3 seeds would be needed to see it alone, and more after Holm's correction)"
    )


def test_over_seeds() -> None:
    """The interval stands in the words, with the seeds that would do."""
    found = difference_over_seeds({0: 0.90, 1: 0.93, 2: 0.92}, {0: 0.91, 1: 0.91, 2: 0.91})
    assert found is not None
    text = judge("accuracy", found, found.p).text
    assert text.startswith("no evidence of a difference (+0.67 points (")
    assert "3 seeds; about 4" in text
