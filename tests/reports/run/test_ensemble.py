"""An ensemble beside its members in words: worth it, not worth it, or not shown, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ensemble_members import METADATA, NUMBERS, TARGETS, guessed, member, predicted

from expkit.errors import UserError
from expkit.metrics.predictions import Predictions
from expkit.records.files import write_json
from expkit.records.run.ensemble import EnsembleRecord, How, Member
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder
from expkit.reports.notebook.page import write_notebook
from expkit.reports.run.pages import report
from expkit.reports.run.run_screen import closing_screen
from expkit.reports.run.stored_summary import is_sound
from expkit.reports.run.summary import Summary, recall, summarize


def wrong_at(*places: int, count: int = 16) -> list[int]:
    classes = np.resize(TARGETS, count)
    classes[list(places)] = 1 - classes[list(places)]
    return [int(each) for each in classes]


def ensemble(
    parent: Path,
    ours: Predictions,
    members: Sequence[Predictions],
    combine: How = "probabilities",
    used: Sequence[bool] = (True, True, True),
    chosen_on: str = "val",
    **changes: Any,
) -> Run:
    """An ensemble's folder with these predictions on test; the best member is the first."""
    run = member(parent, f"e_{chosen_on}", [ours], **changes)
    names = [f"m{place}" for place in range(len(members))]
    folder = RunFolder.reopen(run.path)
    for place, each in enumerate(members):
        folder.write_member(place, [each])
    folder.close()
    EnsembleRecord(
        combine=combine,
        members=[
            Member(name, f"/gone/{name}", 3, "0" * 64, 100, 0.5, is_used, ["seed=1"])
            for name, is_used in zip(names, used, strict=False)
        ],
        best=0,
        chosen_on=chosen_on,
        num_parameters=100 if combine.endswith("soup") else 100 * len(members),
        latency_ms=(2.0, 1.0),
    ).write(run.path)
    return Run(run.path)


def told(summary: Summary, path: Path) -> str:
    """The screen in one line."""
    return " ".join(closing_screen(summary, path).split())


def classes(*wrong: Sequence[int], count: int = 16) -> list[Predictions]:
    return [predicted("test", wrong_at(*each, count=count)) for each in wrong]


def test_a_gain_beyond_luck_is_worth_its_cost(tmp_path: Path) -> None:
    """The best member has 8 of 64 wrong, the ensemble none: 8 to 0, p = 2 / 2^8."""
    ours, *members = classes((), range(8), range(8, 17), range(17, 27), count=64)
    run = ensemble(tmp_path, ours, members)
    found = summarize(run)["ensemble"]
    gain = found["gains"][0]
    assert (gain["metric"], gain["word"]) == ("accuracy", "better")
    assert (gain["value"], gain["p"]) == (8 / 64, 2 / 2**8)
    assert gain["interval"][0] > 0
    assert found["times_parameters"] == 3
    assert found["times_latency"] == 2
    screen = told(summarize(run), run.path)
    assert "worth yes, where its cost can be borne" in screen
    assert "3 x the parameters and 2 x the latency of m0" in screen


def test_members_are_ranked_by_what_they_predicted(tmp_path: Path) -> None:
    """Not by the record's word: a half, and the first the best, where val says another."""
    ours, *members = classes((), range(8), range(8, 17), range(17, 27), count=64)
    run = ensemble(tmp_path, ours, members)
    folder = RunFolder.reopen(run.path)
    for place, num_wrong in enumerate((8, 4, 6)):
        val = predicted("val", wrong_at(*range(num_wrong)))
        folder.write_member(place, [val, members[place]])
    folder.close()
    found = summarize(Run(run.path))["ensemble"]
    assert [each["chosen_by"] for each in found["members"]] == [8 / 16, 12 / 16, 10 / 16]
    assert found["best"] == 1
    assert found["gains"][0]["value"] == 9 / 64
    record = json.loads((run.path / "ensemble.json").read_text())
    write_json(run.path / "ensemble.json", {**record, "chosen_on": "../x"})
    with pytest.raises(UserError, match="chosen_on cannot be"):
        summarize(Run(run.path))


@pytest.mark.parametrize("spoil", ["fewer", "another order"])
def test_members_of_other_samples_are_refused(tmp_path: Path, spoil: str) -> None:
    """A stranger's file, or a torn one: no figure is made of samples that do not belong."""
    ours, *members = classes((), range(8), range(8, 17), range(17, 27), count=64)
    run = ensemble(tmp_path, ours, members)
    path = run.path / "members" / "1.csv"
    head, *rows = path.read_text().splitlines()
    rows = rows[:-5] if spoil == "fewer" else rows[::-1]
    path.write_text("\n".join([head, *rows]) + "\n")
    with pytest.raises(UserError, match=r"'members/1\.csv' is damaged"):
        summarize(Run(run.path))


@pytest.mark.parametrize(
    ("num_wrong", "num_rescued", "advice"),
    [
        (2, 1, "not shown: too few samples to tell: of the 2 samples that m0 has wrong, another"),
        (8, 4, "not shown: too few samples to tell"),
        (12, 3, "not shown: too few samples to tell"),  # 9 to 53 % of the errors
        (16, 3, "no: the members are mostly wrong on the same samples: of the 16 samples"),
        (8, 0, "no: the members are mostly wrong on the same samples: of the 8 samples"),
    ],
)
def test_few_samples_are_told_from_members_with_the_same_errors(
    tmp_path: Path, num_wrong: int, num_rescued: int, advice: str
) -> None:
    """6 that another has right are the fewest that show; fewer prove nothing of few errors."""
    wrong = range(num_wrong)
    ours, *members = classes(wrong, wrong, range(num_rescued, num_wrong), wrong, count=24)
    summary = summarize(ensemble(tmp_path, ours, members))
    disagreement = summary["ensemble"]["disagreement"]
    assert (disagreement["best_wrong"], disagreement["rescuable"]) == (num_wrong, num_rescued)
    screen = told(summary, tmp_path)
    assert advice in screen
    assert f"another member has {num_rescued or 'none'} right, and a gain shows from 6 on" in screen


def test_members_that_disagree_enough_without_a_gain_are_said_to(tmp_path: Path) -> None:
    """The best has 8 wrong that another has right, and the mean 7 of them still."""
    ours, *members = classes(range(7), range(8), range(8, 16), ())
    screen = told(summarize(ensemble(tmp_path, ours, members)), tmp_path)
    assert "not shown: the members disagree enough (of the 8 samples that m0 has wrong" in screen


def test_a_best_member_without_errors_leaves_nothing_to_gain(tmp_path: Path) -> None:
    ours, *members = classes((), (), (0,), (1,))
    screen = told(summarize(ensemble(tmp_path, ours, members)), tmp_path)
    assert "m0 has none of these samples wrong" in screen


def test_what_is_worse_than_its_best_member_is_not_worth_it(tmp_path: Path) -> None:
    ours, *members = classes(range(9), (), range(9), range(9))
    screen = told(summarize(ensemble(tmp_path, ours, members)), tmp_path)
    assert "no: m0 alone is better" in screen


def test_a_soup_across_a_barrier_says_so(tmp_path: Path) -> None:
    """Members with 1 of 16 wrong each, and their soup with 12: 11 of 16 below their mean."""
    ours, *members = classes(range(12), (12,), (13,), (14,))
    run = ensemble(tmp_path, ours, members, "soup")
    screen = told(summarize(run), run.path)
    assert "a barrier lies between these weights: the soup's accuracy is -68.75 points" in screen
    assert "cost that of one model" in screen


def test_a_soup_between_its_members_has_no_barrier(tmp_path: Path) -> None:
    """Worse than the best by more than luck, and better than the others: they pulled it down."""
    ours, *members = classes(range(8), (), range(12), range(12))
    run = ensemble(tmp_path, ours, members, "soup")
    screen = told(summarize(run), run.path)
    assert "barrier" not in screen
    assert "no: m0 alone is better (+0.00 points from the mean of the members)" in screen


def test_a_greedy_soup_of_one_is_said_to_be_that_one(tmp_path: Path) -> None:
    """And that val chose it, which flatters its figure on val alone."""
    ours, *members = classes((0,), (0,), (1,), (2,))
    used = (True, False, False)
    run = ensemble(tmp_path, ours, members, "greedy_soup", used)
    screen = told(summarize(run), run.path)
    assert "val chose no other member, so that the soup is m0 itself" in screen
    assert screen.count("left out") == 2
    assert "flattered" not in screen
    run = ensemble(tmp_path, ours, members, "greedy_soup", chosen_on="test")
    assert "chose the soup's members, too: its figure is flattered" in told(
        summarize(run), run.path
    )


def test_numbers_are_told_by_their_errors(tmp_path: Path) -> None:
    """Members 1 above and 1 below the truth: the mean has no error at all."""
    ours = guessed("test", [0.0] * 12)
    members: list[Predictions] = [guessed("test", [side] * 12) for side in (1.0, -1.0)]
    run = ensemble(tmp_path, ours, members, "logits", metadata=NUMBERS, criteria={})
    found = summarize(run)["ensemble"]
    assert (found["metric"], found["figure"], found["interval"]) == ("rmse", 0.0, None)
    assert found["gains"][0]["value"] == -1.0
    assert found["gains"][0]["word"] == "better"
    screen = told(summarize(run), run.path)
    assert "members lie 1 (root mean square) from their mean" in screen


def test_the_page_and_the_stored_summary_say_the_same_without_the_members(tmp_path: Path) -> None:
    """All is drawn from the folder's own records: the members' folders are nowhere."""
    ours, *members = classes((0,), (0,), (1, 2), (3, 4))
    run = ensemble(tmp_path, ours, members)
    summary = summarize(run)
    write_json(run.path / "summary.json", summary)
    assert is_sound(json.loads((run.path / "summary.json").read_text()))
    stored = recall(Run(run.path))
    assert closing_screen(stored, run.path) == closing_screen(summary, run.path)
    notebook = write_notebook([run], tmp_path / "experiments" / "e").read_text()
    for page in (report(run, stored, []), notebook):
        assert "## Members\n\nMean of probabilities." in page
        assert "| m0 | 93.75 % |" in page
        assert "- **Gain**: over m0, the best on val: accuracy +0.00 points" in page
        assert "- **Worth it**: not shown: too few samples to tell: of the 1 sample" in page


def test_a_summary_whose_members_are_of_another_shape_is_made_anew(tmp_path: Path) -> None:
    ours, *members = classes((0,), (0, 1), (2,), (3,))
    summary = json.loads(json.dumps(summarize(ensemble(tmp_path, ours, members))))
    assert is_sound(summary)
    summary["ensemble"]["members"][0]["figure"] = "high"
    assert not is_sound(summary)


def test_members_whose_predictions_are_gone_are_not_told_of(tmp_path: Path) -> None:
    """Somebody has made room; the ensemble's own figures stand."""
    ours, *members = classes((0,), (0, 1), (2,), (3,))
    run = ensemble(tmp_path, ours, members)
    (run.path / "members" / "1.csv").unlink()
    summary = summarize(Run(run.path))
    assert "ensemble" not in summary
    assert summary["metrics"]["test"]["accuracy"] == 15 / 16


def test_other_runs_have_no_members(tmp_path: Path) -> None:
    """Their summary is what it was."""
    summary = summarize(member(tmp_path, "a", metadata=METADATA))
    assert "ensemble" not in summary


@pytest.mark.parametrize("count", [3, 14])
def test_a_screen_lists_so_many_members_as_it_has_room_for(tmp_path: Path, count: int) -> None:
    members: list[Predictions] = [predicted("test", wrong_at(place)) for place in range(count)]
    run = ensemble(tmp_path, members[0], members, used=[True] * count, criteria={})
    screen = closing_screen(summarize(run), run.path)
    assert ("and 2 more members" in screen) == (count == 14)
    wide = [line for line in screen.splitlines() if len(line) > 90 and run.path.name not in line]
    assert wide == []
