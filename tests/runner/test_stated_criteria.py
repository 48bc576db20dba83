"""Criteria that an experiment states: held against its data before anything is trained."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from small_metadata import DIGITS, POSITIONS

from expkit.config.criteria_words import spell_criteria
from expkit.errors import UserError
from expkit.runner.stated_criteria import check_criteria


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


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("recal[*]", "recall[*]"),
        ("max_predicted_fractio", "max_predicted_fraction"),
        ("eec", "ece"),
        ("latency_second", "latency_seconds"),
    ],
)
def test_a_misspelt_figure_is_answered_with_the_one_that_was_meant(name: str, nearest: str) -> None:
    """Also of those that are measured only where they are asked for."""
    with pytest.raises(UserError, match="cannot be measured") as caught:
        check_criteria({name: "> 0.5"}, DIGITS)
    assert caught.value.details["nearest"] == nearest
    assert "recall[CLASS], recall[*]:" in str(caught.value.details["allowed"])


def test_every_class_and_patterns_of_classes_may_be_asked_for() -> None:
    """A pattern that means no class is refused with the classes that there are."""
    data = replace(DIGITS, class_names=("cherry_clean", "cherry_pit"))
    assert len(check_criteria({"recall[*]": "> 0.85", "val/f1[cherry_*]": "> 0.5"}, data)) == 2
    with pytest.raises(UserError, match="no class 'plum_"):
        check_criteria({"recall[plum_*]": "> 0.5"}, data)


@pytest.mark.parametrize(("bound", "who"), [("< 0.25", "no"), ("<= 1", "every"), ("< 0.2", "no")])
def test_of_four_classes_one_has_a_quarter_of_the_predictions(bound: str, who: str) -> None:
    """No model can predict each of them less often; at a quarter and above the bound judges."""
    data = replace(DIGITS, class_names=tuple("abcd"))
    with pytest.raises(UserError, match=f"{who} run meets"):
        check_criteria({"max_predicted_fraction": bound}, data)
    assert check_criteria({"max_predicted_fraction": "< 0.4"}, data)


def test_a_latency_may_be_asked_of_any_model_and_is_of_no_split() -> None:
    """Of numbers too; `val/latency_seconds` would say that it were another on test."""
    assert check_criteria({"latency_seconds": "< 5"}, POSITIONS)
    with pytest.raises(UserError, match="no split") as caught:
        check_criteria({"val/latency_seconds": "< 5"}, DIGITS)
    (word,) = shlex.split(str(caught.value.details["do"]))[2:]
    assert spell_criteria([word]) == [word]
    with pytest.raises(UserError, match="no run meets"):
        check_criteria({"latency_seconds": "< 0"}, DIGITS)


@pytest.mark.parametrize("name", ["max_predicted_fraction", "ece", "aurc", "recall[*]"])
def test_figures_of_classes_are_refused_where_numbers_are_predicted(name: str) -> None:
    """The criteria that fit are named."""
    with pytest.raises(UserError, match="regression targets") as caught:
        check_criteria({name: "> 0.9"}, POSITIONS)
    assert "criteria=regression" in (caught.value.details["do"] or "")
