"""Findings in words."""

from __future__ import annotations

from dataclasses import replace

from expkit.diagnosis.finding import Finding
from expkit.reports.run.findings import (
    describe,
    listing,
    markdown_section,
    screen_lines,
    value_text,
)
from expkit.reports.run.trial_table import TrialResult, best_cure, trial_table

FOUND = Finding(
    severity="warning",
    sentence="the loss is 6.857",
    evidence={"loss": 6.85678, "images": [f"picture_{i}.png" for i in range(16)]},
    cause="nothing was learnt",
    command="expkit train optimizer.lr=0.0001",
    stage="train",
    epoch=5,
    rule="loss_at_chance",
)


def test_a_finding_says_where_what_why_and_what_next() -> None:
    """All that a reader needs stands in the one text."""
    text = describe(FOUND)
    assert text.startswith("WARN  loss_at_chance (train, epoch 5): the loss is 6.857")
    assert "evidence loss 6.857, images [picture_0.png," in text
    assert "cause    nothing was learnt" in text
    assert text.endswith("next     expkit train optimizer.lr=0.0001")


def test_a_long_list_is_cut_on_a_screen_and_whole_in_a_listing() -> None:
    """`expkit diagnose` is asked for the names."""
    assert "and 12 more" in describe(FOUND)
    assert "picture_15.png" in listing([FOUND])


def test_a_page_folds_a_long_list_and_has_all_of_it() -> None:
    """The line of evidence has its first few; a short list is not folded."""
    _, line, folded, _ = markdown_section([FOUND.to_json()])
    assert "and 12 more" in line
    assert folded.startswith("<details>\n<summary>images: all 16</summary>")
    assert all(f"picture_{i}.png" in folded for i in range(16))
    short = replace(FOUND, evidence={"images": ["a.png", "b.png"]})
    assert "<details>" not in "".join(markdown_section([short.to_json()]))


def test_a_name_cannot_leave_its_fence() -> None:
    """Files may be called anything."""
    odd = replace(FOUND, evidence={"images": ["```", "<img src=x>", *"abc"]})
    folded = markdown_section([odd.to_json()])[2]
    fence = folded.split("\n")[3]
    assert fence == "````"
    assert folded.count(fence) == 2


def test_the_next_command_says_what_is_new_in_it() -> None:
    """Among ten words that were typed nobody finds the eleventh."""
    command = "expkit train dataset=digits optimizer.lr=0.01 model.init=kaiming"
    found = replace(FOUND, remedies=[["optimizer.lr=0.01", "model.init=kaiming"]], command=command)
    lines = describe(found).splitlines()
    assert lines[-2:] == [
        "      next     with optimizer.lr=0.01 model.init=kaiming:",
        f"               {command}",
    ]
    section = markdown_section([found.to_json()])
    assert section[-2] == "Next, with `optimizer.lr=0.01 model.init=kaiming`:"
    assert command in section[-1]


def test_a_command_of_nothing_but_the_remedy_needs_no_words() -> None:
    """Nor does advice that is no command."""
    bare = replace(FOUND, remedies=[["optimizer.lr=0.0001"]])
    assert describe(bare).endswith("next     expkit train optimizer.lr=0.0001")
    advice = replace(bare, command="look at the model's last layer")
    assert markdown_section([advice.to_json()])[-1] == "Next: look at the model's last layer."


def test_before_training_there_is_no_epoch() -> None:
    """Epoch 0 is spelled out, and a finding on the run as a whole has none."""
    assert "(before training)" in describe(replace(FOUND, epoch=0))
    assert "epoch" not in describe(replace(FOUND, epoch=None)).splitlines()[0]


def test_a_screen_tells_infos_by_name_alone() -> None:
    """What is no fault takes no room."""
    info = replace(FOUND, severity="info", rule="constant_channel")
    lines = screen_lines([FOUND.to_json(), info.to_json()])
    assert lines[-1].split() == ["also", "constant_channel", "(expkit", "diagnose)"]
    assert sum("WARN" in line for line in lines) == 1
    assert all(len(line) <= 90 for line in lines if "next" not in line)


def test_values_are_short() -> None:
    """Four digits, words for yes and none, mappings in brackets."""
    assert value_text(0.123456) == "0.1235"
    assert value_text(True) == "yes"
    assert value_text({"a b": 2, "c_d": None}) == "(a b 2, c d none)"


def test_the_best_of_those_that_cure_is_named() -> None:
    """A trial counts where the finding is gone and the loss clearly under the unchanged one's."""
    unchanged = TrialResult([], [2.3, 2.3], [0.1, 0.1], ["sick"])
    slight = TrialResult(["a=1"], [2.3, 2.25], [0.1, 0.1])  # within five per cent
    still = TrialResult(["b=1"], [2.0, 1.0], [0.1, 0.5], ["sick"])
    good = TrialResult(["c=1"], [2.2, 1.5], [0.1, 0.5])
    better = TrialResult(["d=1"], [2.3, 1.2], [0.1, 0.6], ["something_else"])
    failed = TrialResult(["e=1"], failed="no such key")
    results = [unchanged, slight, still, good, better, failed]
    targets = {tuple(result.words): {"sick"} for result in results}
    assert best_cure(results, targets) is better
    assert good.better_from(unchanged) == 2
    assert still.better_from(unchanged) == 1
    assert slight.better_from(unchanged) is None
    assert best_cure([unchanged, slight, still], targets) is None
    rows = trial_table(results).splitlines()
    assert rows[1].split()[:4] == ["unchanged", "2.3", "10.00", "%"]
    assert rows[-1].endswith("no such key")


def test_a_diverged_run_is_cured_by_any_number() -> None:
    """NaN and infinity are worse than every loss."""
    unchanged = TrialResult([], [float("nan")], [0.1], ["diverged"])
    cured = TrialResult(["optimizer.lr=1e-4"], [float("nan"), 2.0], [0.1, 0.3])
    assert cured.better_from(unchanged) == 2
    assert best_cure([unchanged, cured], {tuple(cured.words): {"diverged"}}) is cured
