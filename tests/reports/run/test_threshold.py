"""Choosing cut-offs: by hand, honestly halved, and refused where none would do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_predictions import of_two
from synthetic_runs import classes_run, position_run, puzzle_run

from expkit.errors import UserError
from expkit.metrics.thresholds import (
    Half,
    choose_high,
    choose_low,
    describe,
    judge_fraction,
    needed_samples,
    split_halves,
)
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import keep_threshold, read_thresholds
from expkit.reports.plots.gallery import draw_plots
from expkit.reports.run.pages import refresh
from expkit.reports.run.threshold import ThresholdRequest, choose_threshold
from expkit.reports.run.threshold_page import threshold_screen, verdict

# the class at .2 .6 .8 .9, the others at .1 .3 .7
HALF = Half(
    np.array([0, 1, 0, 1, 0, 1, 1], dtype=bool),
    np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9]),
)


@pytest.mark.parametrize(("recall", "low"), [(1.0, 0.15), (0.75, 0.45), (0.7, 0.45), (0.5, 0.75)])
def test_low_is_the_highest_that_keeps_the_recall(recall: float, low: float) -> None:
    """Halfway between the last sample that must be kept and the next below it."""
    assert choose_low(HALF, recall) == pytest.approx(low)


@pytest.mark.parametrize(("precision", "high"), [(1.0, 0.75), (0.7, 0.45), (0.6, 0.15)])
def test_high_is_the_lowest_with_the_precision(precision: float, high: float) -> None:
    """2 of 2 from .8 on, 3 of 4 from .6 on, 4 of 6 from .2 on."""
    assert choose_high(HALF, precision) == pytest.approx(high)


def test_a_recall_for_everything_alike_is_none() -> None:
    """A net that tells nothing apart keeps the recall only by calling all of them the class."""
    flat = Half(HALF.belongs, np.full(7, 0.5))
    assert choose_low(flat, 0.1) is None
    assert choose_high(flat, 0.9) is None


def test_shares_by_hand() -> None:
    """From .15 to .75 four of seven are maybe; both sure answers are right here."""
    found = describe(HALF, 0.15, 0.75)
    counts = {
        key: (share["count"], share["total"]) for key, share in found.items() if key[1] != "u"
    }
    assert counts == {
        "recall": (4, 4),
        "maybe": (4, 7),
        "wrong_class": (0, 2),
        "wrong_other": (0, 1),
    }
    loose = describe(HALF, 0.65, 0.65)
    assert (loose["wrong_class"]["count"], loose["wrong_class"]["total"]) == (1, 3)
    assert (loose["wrong_other"]["count"], loose["wrong_other"]["total"]) == (2, 4)
    assert describe(HALF, 0.15, None)["wrong_class"]["fraction"] is None


def test_halves_are_equal_stratified_and_seeded() -> None:
    """Half of the class in either, no sample in both, another seed another cut."""
    random = np.random.default_rng(0)
    made = of_two([0] * 60 + [1] * 40, random.random(100).tolist())
    first, second = split_halves(made, "pit", 0)
    assert (first.belongs.sum(), second.belongs.sum()) == (20, 20)
    assert sorted([*first.scores, *second.scores]) == sorted(
        made.probabilities[:, 1].astype(float).tolist()
    )
    again, other = split_halves(made, "pit", 0)[0], split_halves(made, "pit", 1)[0]
    assert np.array_equal(first.scores, again.scores)
    assert not np.array_equal(first.scores, other.scores)


def cherries(parent: Path, share_right: float = 0.94) -> Run:
    return classes_run(parent, ["clean", "pit"], share_right=share_right, per_class=300)


def test_chosen_keeps_what_was_asked_and_the_other_half_tells(tmp_path: Path) -> None:
    """On the choosing half the bounds hold; the verdict is of the other."""
    for seed in range(4):
        chosen = choose_threshold(
            cherries(tmp_path), ThresholdRequest("pit", 0.97, 0.96, seed=seed)
        )
        first, second = chosen.evidence["chosen_on"], chosen.evidence["confirmed_on"]
        assert first["recall"]["fraction"] >= 0.97
        assert 1 - first["wrong_class"]["fraction"] >= 0.96
        held = (
            second["recall"]["fraction"] >= 0.97 and 1 - second["wrong_class"]["fraction"] >= 0.96
        )
        assert chosen.is_confirmed == held
        assert verdict(chosen).startswith("CONFIRMED" if held else "NOT CONFIRMED")


def test_a_missed_recall_is_said_plainly(tmp_path: Path) -> None:
    """Enough pits of one half kept, too few of the other: not confirmed, and by how much."""
    run = cherries(tmp_path)
    missed = [
        chosen
        for seed in range(8)
        if not (
            chosen := choose_threshold(run, ThresholdRequest("pit", 0.97, None, seed=seed))
        ).is_confirmed
    ]
    assert missed
    text = " ".join(threshold_screen(missed[0], run.dataset).split())
    assert "NOT CONFIRMED: on the samples that did not choose, recall is 9" in text
    assert "and misses 97 %" in text


def test_one_bound_gives_one_cut_off(tmp_path: Path) -> None:
    """Recall alone asks nothing of the precision, nor precision of the recall: no maybe."""
    run = cherries(tmp_path)
    for request in (ThresholdRequest("pit", 0.97, None), ThresholdRequest("pit", None, 0.97)):
        chosen = choose_threshold(run, request)
        assert chosen.low == chosen.high
        assert (chosen.asked_recall, chosen.asked_precision) == (request.recall, request.precision)
        assert chosen.evidence["confirmed_on"]["maybe"]["count"] == 0
        assert "maybe" not in threshold_screen(chosen, run.dataset)
        assert "none was asked for" in " ".join(verdict(chosen).split())
    assert chosen.evidence["chosen_on"]["wrong_class"]["fraction"] <= 0.03


def test_needed_samples_by_hand() -> None:
    """34 / (34 + 3.8415) is 0.8985 and 35 / 38.8415 is 0.9011: 35 are the first to exclude 0.9."""
    assert needed_samples(0.9) == 35
    assert needed_samples(0.5) == 4  # 3.8415 x 0.5 / 0.5, rounded up
    assert needed_samples(1.0) == np.inf


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [
        (4, 4, "too few samples"),  # its interval begins at 4 / 7.84, 51.0 %
        (34, 34, "too few samples"),
        (35, 35, "confirmed"),
        (32, 35, "confirmed"),
        (31, 35, "not confirmed"),
        (3, 4, "too few samples"),
        (1, 4, "not confirmed"),  # its interval ends at 69.9 %
        (0, 0, "not confirmed"),
    ],
)
def test_four_samples_confirm_no_recall_of_90_percent(
    count: int, total: int, expected: str
) -> None:
    """Where even all of them right would leave it open, that is the answer."""
    assert judge_fraction(count, total, 0.9) == expected


def test_too_few_samples_are_said_with_how_many_would_do(tmp_path: Path) -> None:
    """On the screen, in the page and over the curve; ten samples of a class, five in a half."""
    run = classes_run(tmp_path, ["clean", "pit"], share_right=1.0, per_class=10)
    chosen = choose_threshold(run, ThresholdRequest("pit", 0.9, None))
    assert chosen.verdict == "too few samples"
    text = " ".join(threshold_screen(chosen, run.dataset).split())
    assert "TOO FEW SAMPLES TO CONFIRM" in text
    assert "5 cannot show a recall of 90 % (35 could)" in text
    assert "predict does not use it" in text


def test_cut_offs_in_the_wrong_order_become_one(tmp_path: Path) -> None:
    """A precision reached below the cut-off that keeps the recall: both hold, no maybe."""
    chosen = choose_threshold(cherries(tmp_path), ThresholdRequest("pit", 0.5, 0.6))
    assert chosen.low == chosen.high
    first = chosen.evidence["chosen_on"]
    assert first["maybe"]["count"] == 0
    assert first["recall"]["fraction"] >= 0.5
    assert first["wrong_class"]["fraction"] <= 0.4


def test_one_of_many_classes_stands_against_the_rest(tmp_path: Path) -> None:
    """Ten digits: a threshold for the eights alone."""
    run = classes_run(tmp_path, per_class=50)
    chosen = choose_threshold(run, ThresholdRequest("8", 0.9, None))
    assert chosen.evidence["chosen_on"]["recall"]["total"] == 25
    assert "another class" in threshold_screen(chosen, run.dataset)


def test_unreachable_precision_says_what_is_reachable(tmp_path: Path) -> None:
    """With the command that works."""
    run = cherries(tmp_path, share_right=0.5)
    answers = run.predictions["test"]
    random = np.random.default_rng(0).random((600, 1)).astype(np.float32)
    table = np.hstack([1 - random, random])
    run.__dict__["predictions"] = {"test": replace(answers, probabilities=table)}
    with pytest.raises(UserError, match=r"no cut-off reaches a precision of 99\.90 %") as caught:
        choose_threshold(run, ThresholdRequest("pit", None, 0.999))
    assert "reachable: a precision of" in (caught.value.details["allowed"] or "")
    fix = caught.value.details["do"] or ""
    assert (
        choose_threshold(run, ThresholdRequest("pit", None, float(fix.split()[-1]))).high
        is not None
    )


def test_unreachable_recall_says_so(tmp_path: Path) -> None:
    """Every sample the same: no cut-off, whatever is asked."""
    run = cherries(tmp_path)
    table = np.full((600, 2), 0.5, np.float32)
    run.__dict__["predictions"] = {"test": replace(run.predictions["test"], probabilities=table)}
    with pytest.raises(UserError, match="short of calling every sample one") as caught:
        choose_threshold(run, ThresholdRequest("pit", 0.9, None))
    assert "tells nothing apart" in (caught.value.details["allowed"] or "")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (ThresholdRequest("pits", 0.9, None), "no class 'pits'"),
        (ThresholdRequest("pit", 99.0, None), "a fraction cannot be 99"),
        (ThresholdRequest("pit", None, 0.0), "a fraction cannot be 0"),
        (ThresholdRequest("pit", 0.9, None, "train"), "cannot be chosen on training samples"),
        (ThresholdRequest("pit", 0.9, None, "vall"), "no split 'vall'"),
    ],
)
def test_wrong_wishes_are_refused(tmp_path: Path, wanted: ThresholdRequest, words: str) -> None:
    """An unknown class, a share in percent, nothing at all, what was learnt, an unknown split."""
    with pytest.raises(UserError, match=words):
        choose_threshold(cherries(tmp_path), wanted)


def test_runs_that_cannot_have_one_are_refused(tmp_path: Path) -> None:
    """No held-out split, too few samples of the class, answers that are not numbers."""
    with pytest.raises(UserError, match="training samples"):
        choose_threshold(puzzle_run(tmp_path / "a", 2, 3), ThresholdRequest("r00_c00", 0.9, None))
    with pytest.raises(UserError, match="training samples"):
        choose_threshold(position_run(tmp_path / "b", 2, 3), ThresholdRequest("x", 0.9, None))
    with pytest.raises(UserError, match="two halves need"):
        choose_threshold(classes_run(tmp_path / "c", per_class=1), ThresholdRequest("3", 0.9, None))
    run = cherries(tmp_path / "d")
    table = np.full((600, 2), np.nan, np.float32)
    run.__dict__["predictions"] = {"test": replace(run.predictions["test"], probabilities=table)}
    with pytest.raises(UserError, match="600 of the predictions on test are not finite"):
        choose_threshold(run, ThresholdRequest("pit", 0.9, None))


@pytest.mark.slow
def test_the_pages_show_a_stored_threshold(tmp_path: Path) -> None:
    """The curve among the images, and the decision in the report."""
    run = cherries(tmp_path)
    assert not any("threshold" in path.stem for path in draw_plots(run, tmp_path / "plots"))
    for request in (ThresholdRequest("pit", 0.97, None), ThresholdRequest("clean", 0.9, 0.9)):
        keep_threshold(choose_threshold(run, request), run.path)
    assert len(read_thresholds(run.path)) == 2
    names = {path.stem for path in draw_plots(run, tmp_path / "plots")}
    assert {"threshold_1_pit", "threshold_2_clean"} <= names
    refresh(run.path, plots=False)
    page = (run.path / "report.md").read_text()
    assert "## Thresholds" in page
    assert "pit: chosen on" in page
    assert "clean: chosen on" in page
