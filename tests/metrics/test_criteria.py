"""Criteria: what can be written, what is refused, and when one is met."""

from __future__ import annotations

from math import inf, nan

import pytest
from small_metadata import DIGITS, POSITIONS

from expkit.errors import UserError
from expkit.metrics.criteria import Criterion, parse_criterion


@pytest.mark.parametrize(
    ("condition", "relation", "bound"),
    [
        ("> 0.95", ">", 0.95),
        (">=0.9", ">=", 0.9),
        ("  <   .5 ", "<", 0.5),
        ("<= 1e-3", "<=", 0.001),
        ("> -2", ">", -2),
        ("< +1E2", "<", 100),
    ],
)
def test_relation_and_number_are_read(condition: str, relation: str, bound: float) -> None:
    """Four relations and any plain number, with spaces or without."""
    assert parse_criterion("accuracy", condition) == Criterion("accuracy", relation, bound)


@pytest.mark.parametrize(
    "condition",
    [
        *("0.95", "=> 1", "== 1", "> 95%", "> 0,95", "> high", "> nan", "> -", "> e", ">", ""),
        *("> 0.9 < 1", "0.9 <", "> 1_000", 0.95, None, True, ["> 1"]),
    ],
)
def test_anything_else_is_refused(condition: object) -> None:
    """What was given, its key, and what would be right."""
    with pytest.raises(UserError) as caught:
        parse_criterion("accuracy", condition, "procedure.train.stop_at")
    assert caught.value.what == f"the criterion '{condition}' cannot be read"
    assert caught.value.details["where"] == "procedure.train.stop_at.accuracy"
    assert "'> 0.95'" in (caught.value.details["allowed"] or "")


def test_the_offered_command_is_one_that_hydra_reads() -> None:
    """Criteria are a group, whose entries are set one by one; `stop_at` is a mapping."""
    for key, words in (
        ("criteria", """'++criteria.accuracy="> 0.95"'"""),
        ("procedure.train.stop_at", """'procedure.train.stop_at={accuracy: "> 0.95"}'"""),
    ):
        with pytest.raises(UserError) as caught:
            parse_criterion("accuracy", "high", key)
        assert caught.value.details["do"] == f"expkit train {words}"


@pytest.mark.parametrize(
    ("condition", "below", "at", "above"),
    [
        ("> 0.5", False, False, True),
        (">= 0.5", False, True, True),
        ("< 0.5", True, False, False),
        ("<= 0.5", True, True, False),
    ],
)
def test_is_met_at_and_around_the_bound(condition: str, below: bool, at: bool, above: bool) -> None:
    """The bound itself belongs to >= and <= alone."""
    criterion = parse_criterion("loss", condition)
    assert [criterion.is_met(value) for value in (0.49, 0.5, 0.51)] == [below, at, above]


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("condition", ["> 0", ">= 0", "< 0", "<= 0"])
def test_numbers_that_are_not_finite_meet_nothing(condition: str, value: float) -> None:
    """A diverged loss of -inf is not a success."""
    assert not parse_criterion("loss", condition).is_met(value)


def test_split_is_the_judged_one_unless_named() -> None:
    """test before train, and a name before a slash before both."""
    plain, named = parse_criterion("accuracy", "> 0"), parse_criterion("train/accuracy", "> 0")
    judged = (DIGITS.judged_split, POSITIONS.judged_split)
    assert [plain.split(split) for split in judged] == ["test", "train"]
    assert [named.split(split) for split in judged] == ["train", "train"]
    assert (plain.metric, named.metric) == ("accuracy", "accuracy")


def test_criteria_read_as_they_are_written() -> None:
    """A page shows the criterion as its author would write it."""
    assert str(parse_criterion("train/accuracy", ">=0.950")) == "train/accuracy >= 0.95"


def test_infinite_bound_is_refused() -> None:
    """A criterion that nothing finite can meet is a slip of the pen."""
    with pytest.raises(UserError):
        parse_criterion("accuracy", "> 1e999")
