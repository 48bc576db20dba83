"""Criteria: what can be written, what is refused, and when one is met."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from expkit.errors import UserError
from expkit.metrics.criteria import Criterion, parse_criterion
from expkit.records.run.metadata import DatasetMetadata, SplitMetadata
from expkit.runner.stated_criteria import check_criteria

SPLIT = SplitMetadata(4, (2, 2), "f")
DIGITS = DatasetMetadata(
    name="Digits",
    task="classification",
    class_names=("a", "b"),
    target_names=None,
    image_shape=(1, 8, 8),
    splits={"train": SPLIT, "val": SPLIT, "test": SPLIT},
    layouts={},
)
POSITIONS = replace(
    DIGITS,
    task="regression",
    class_names=None,
    target_names=("x", "y"),
    splits={"train": replace(SPLIT, class_counts=None)},
)


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
    assert (plain.metric, plain.split(DIGITS), plain.split(POSITIONS)) == (
        "accuracy",
        "test",
        "train",
    )
    assert (named.metric, named.split(DIGITS)) == ("accuracy", "train")


def test_criteria_read_as_they_are_written() -> None:
    """A page shows the criterion as its author would write it."""
    assert str(parse_criterion("train/accuracy", ">=0.950")) == "train/accuracy >= 0.95"


def test_sound_criteria_pass() -> None:
    """In their order, for either task."""
    checked = check_criteria({"accuracy": "> 0.9", "val/log_loss": "< 1"}, DIGITS)
    assert [str(criterion) for criterion in checked] == ["accuracy > 0.9", "val/log_loss < 1"]
    assert check_criteria({"rmse": "< 0.05"}, POSITIONS)[0].bound == 0.05
    assert check_criteria({}, DIGITS) == []


def test_unknown_metric_is_refused_with_the_nearest() -> None:
    """A slip is answered with the metric that was meant, and all that there are."""
    with pytest.raises(UserError) as caught:
        check_criteria({"acuracy": "> 0.9"}, DIGITS)
    assert caught.value.details["nearest"] == "accuracy"
    assert caught.value.details["where"] == "criteria.acuracy"
    assert "log_loss:" in (caught.value.details["allowed"] or "")


@pytest.mark.parametrize(
    ("num_classes", "metric"), [(5, "top5_accuracy"), (101, "auroc"), (101, "average_precision")]
)
def test_metric_without_a_number_on_this_data_is_refused(num_classes: int, metric: str) -> None:
    """A criterion that the end of the run could not judge is refused at its beginning."""
    names = tuple(f"class {i}" for i in range(num_classes))
    with pytest.raises(UserError, match="cannot be measured"):
        check_criteria({metric: "> 0.9"}, replace(DIGITS, class_names=names))
    names = tuple(f"class {i}" for i in range(6))
    assert check_criteria({metric: "> 0.9"}, replace(DIGITS, class_names=names))


def test_one_class_may_be_asked_for() -> None:
    """Its name stands in brackets, on the split before the slash, whatever characters it has."""
    data = replace(DIGITS, class_names=("clean", "pit/stone [2]"))
    (criterion,) = check_criteria({"val/recall[pit/stone [2]]": ">= 0.99"}, data)
    assert criterion.split(data.judged_split) == "val"
    assert criterion.metric == "recall[pit/stone [2]]"
    assert criterion.measure.class_name == "pit/stone [2]"


def test_class_that_the_data_lacks_is_refused_with_the_nearest() -> None:
    """A misspelt class would leave the run unjudged."""
    with pytest.raises(UserError, match="no class 'cherry_pits'") as caught:
        check_criteria(
            {"recall[cherry_pits]": ">= 0.99"},
            replace(DIGITS, class_names=("cherry_clean", "cherry_pit")),
        )
    assert caught.value.details["nearest"] == "cherry_pit"
    assert caught.value.details["where"] == "criteria.recall[cherry_pits]"


@pytest.mark.parametrize("metric", ["accuracy[a]", "recall", "recall[]"])
def test_brackets_belong_to_metrics_of_one_class(metric: str) -> None:
    """Accuracy has no class, and recall needs one that there is."""
    with pytest.raises(UserError):
        check_criteria({metric: "> 0.5"}, DIGITS)


def test_share_of_one_class_cannot_pass_one() -> None:
    """`recall[a] > 99` meant 0.99."""
    with pytest.raises(UserError, match="no run meets"):
        check_criteria({"recall[a]": "> 99"}, DIGITS)


def test_metric_of_the_other_task_is_refused() -> None:
    """Accuracy of positions means nothing; the criteria that fit are named."""
    with pytest.raises(UserError, match="regression targets") as caught:
        check_criteria({"accuracy": "> 0.9"}, POSITIONS)
    assert "criteria=regression" in (caught.value.details["do"] or "")


def test_split_that_the_data_lacks_is_refused() -> None:
    """And the splits that there are, are named."""
    with pytest.raises(UserError, match="no split 'val'") as caught:
        check_criteria({"val/rmse": "< 1"}, POSITIONS)
    assert caught.value.details["allowed"] == "train"
