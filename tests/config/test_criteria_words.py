"""Criteria on a command line: what a user types, and what the config holds of it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from small_metadata import DIGITS

from expkit.config.compose import change_parts
from expkit.config.criteria_words import EXAMPLE, name_criteria, spell_criteria
from expkit.errors import UserError
from expkit.runner.stated_criteria import check_criteria


def stated(*words: str) -> dict[str, object]:
    """The criteria of a config that states none, after these words."""
    return name_criteria(change_parts({"criteria": {}}, words)["criteria"])


@pytest.mark.parametrize(
    ("word", "criteria"),
    [
        ('criteria={val/recall[*]: "> 0.85"}', {"val/recall[*]": "> 0.85"}),
        ("criteria={ece: < 0.05, accuracy: '> 0.9'}", {"ece": "< 0.05", "accuracy": "> 0.9"}),
        ('++criteria.recall[*]="> 0.85"', {"recall[*]": "> 0.85"}),
        ('++criteria.val/accuracy="> 0.9"', {"val/accuracy": "> 0.9"}),
        ('criteria={recall[pit/stone [2]]: ">= 0.9"}', {"recall[pit/stone [2]]": ">= 0.9"}),
        ('criteria={test/f1[a=b, c: d]: "> 0.5",}', {"test/f1[a=b, c: d]": "> 0.5"}),
        ('++criteria.val={recall: {*: "> 0.85"}}', {"val/recall[*]": "> 0.85"}),
        ('+criteria.accuracy="> 0.9"', {"accuracy": "> 0.9"}),
    ],
)
def test_words_state_criteria_by_their_names(word: str, criteria: dict[str, str]) -> None:
    """Hydra's grammar has no key with a bracket or a slash: these came only from a YAML."""
    assert stated(word) == criteria


def lines_of_the_guide() -> list[str]:
    page = (Path(__file__).parents[2] / "docs" / "guide.md").read_text("utf-8")
    return [line.strip() for line in page.splitlines() if re.match(r"    expkit .*criteria", line)]


@pytest.mark.parametrize("line", lines_of_the_guide())
def test_each_line_of_the_guide_is_read_as_a_shell_hands_it_over(line: str) -> None:
    """The quotes around a word keep the shell from taking `[*]` and `>` for its own."""
    words = [word for word in shlex.split(line, comments=True) if "criteria" in word]
    data = replace(DIGITS, class_names=("cherry_clean", "cherry_pit", "leaf"))
    if "dataset.target=position" not in line:
        assert check_criteria(stated(*words), data)


def test_the_guide_states_a_criterion_of_every_class() -> None:
    """As a shell would hand it over, and as check_criteria then has it."""
    (line,) = [each for each in lines_of_the_guide() if "val/recall[*]" in each]
    (word,) = [each for each in shlex.split(line) if "criteria" in each]
    found = check_criteria(stated(word), DIGITS)
    assert [(each.split("test"), each.metric) for each in found] == [
        *(("test", "accuracy"), ("test", "latency_seconds"), ("val", "recall[*]")),
    ]


def test_a_word_stands_above_the_same_criterion_of_a_recipe() -> None:
    """A YAML has it by its name, the word as a mapping: one criterion, the user's."""
    recipe = {"criteria": {"recall[pit]": "> 0.9", "accuracy": "> 0.8"}}
    changed = change_parts(recipe, ['criteria={recall[pit]: "> 0.99"}'])
    assert name_criteria(changed["criteria"]) == {"recall[pit]": "> 0.99", "accuracy": "> 0.8"}
    assert stated("criteria={}") == stated("criteria=none") == {}


@pytest.mark.parametrize("text", ["recall[*: 3", 'accuracy "> 0.9"', "accuracy: {a: 1}"])
def test_what_cannot_be_read_is_refused_with_an_example_that_can(text: str) -> None:
    """One screen, and its advice is taken."""
    with pytest.raises(UserError, match="cannot be read") as caught:
        spell_criteria(["seed=1", f"criteria={{{text}}}"])
    assert EXAMPLE in str(caught.value.details["do"])
    assert list(stated(*shlex.split(EXAMPLE))) == ["accuracy", "recall[*]"]


@pytest.mark.parametrize("word", ['+criteria.tst/recall[*]="> 0.2"', "criteria={tst/auroc: > 0.2}"])
def test_a_misspelt_split_is_named_with_the_nearest(word: str) -> None:
    """It is no metric of that name, whose class is the metric."""
    with pytest.raises(UserError, match="no split 'tst'") as caught:
        spell_criteria([word])
    assert caught.value.details["nearest"] == "test"
