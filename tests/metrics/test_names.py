"""The names of what can be measured."""

from __future__ import annotations

import pytest

from expkit.errors import UserError
from expkit.metrics.names import (
    CLASS_METRICS,
    LATENCY,
    METRICS,
    ON_DEMAND,
    RANGES,
    Measure,
    is_lower_better,
    refuse_unknown,
)


def test_every_metric_has_its_range() -> None:
    """A bound on any of them can be checked."""
    kinds = [*METRICS.values(), *ON_DEMAND.values(), CLASS_METRICS, LATENCY]
    assert {name for metrics in kinds for name in metrics} == set(RANGES)


def test_ece_is_the_short_name_of_the_calibration_error() -> None:
    """One figure with one definition: pages and records have its full name."""
    assert Measure.parse("val/ece") == Measure("val", "calibration_error")
    assert Measure.parse("val/ece").name == "val/calibration_error"
    assert Measure.parse("test/recall[ece]").name == "test/recall[ece]"
    assert is_lower_better("ece")


def test_aurc_can_be_asked_as_the_calibration_error_can() -> None:
    """By the name that records have for it; a lower area is better."""
    refuse_unknown("val/aurc")
    assert is_lower_better("aurc")
    assert is_lower_better("test/aurc")


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("accuracy", Measure("", "accuracy")),
        ("val/accuracy", Measure("val", "accuracy")),
        ("recall[pit]", Measure("", "recall", "pit")),
        ("test/f1[a/b]", Measure("test", "f1", "a/b")),
        ("recall[a]b]", Measure("", "recall", "a]b")),
    ],
)
def test_names_come_apart(name: str, measure: Measure) -> None:
    """Split, metric and class, also where the class has a slash or a bracket."""
    assert Measure.parse(name) == measure
    assert measure.unsplit == name.removeprefix(f"{measure.split}/")


@pytest.mark.parametrize(
    ("name", "split"), [("accuracy", "test"), ("held_out/f1[a/b]", "test"), ("val/f1[a/b]", "val")]
)
def test_a_name_without_a_split_is_of_the_judged_one(name: str, split: str) -> None:
    """Here the run is judged on test."""
    assert Measure.parse(name).split_of("test") == split


def test_direction_of_metrics() -> None:
    """Errors and losses are better when lower, on whichever split."""
    assert is_lower_better("held_out/log_loss")
    assert is_lower_better("rmse")
    assert not is_lower_better("test/recall[cherry/pit]")


@pytest.mark.parametrize("name", ["accuracy", "val/log_loss", "held_out/recall[pit]", "train/r2"])
def test_what_is_measured_can_be_an_objective(name: str) -> None:
    """With or without a split, of all classes or of one."""
    refuse_unknown(name)


@pytest.mark.parametrize("name", ["held_out/acuracy", "vaal/accuracy", "held_out/lr", ""])
def test_what_is_not_measured_is_no_objective(name: str) -> None:
    """A misspelt metric or split is answered with those there are."""
    with pytest.raises(UserError, match="no run measures") as caught:
        refuse_unknown(name)
    assert "log_loss" in str(caught.value.details["allowed"])


def test_no_nearest_is_made_of_a_name_that_is_like_none() -> None:
    """`held_out/foo` would be refused as `foo` is; a metric that is known keeps its name."""
    with pytest.raises(UserError) as caught:
        refuse_unknown("foo")
    assert caught.value.details["nearest"] is None
    with pytest.raises(UserError) as caught:
        refuse_unknown("vaal/accuracy")
    assert caught.value.details["nearest"] == "val/accuracy"
