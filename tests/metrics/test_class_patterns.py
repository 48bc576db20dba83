"""Criteria of several classes: which are meant, and which of them decides."""

from __future__ import annotations

import numpy as np
import pytest

from expkit.metrics.class_patterns import (
    is_pattern,
    judged_classes,
    matching_classes,
    worst_class,
)
from expkit.metrics.classification import measure_each_class, most_predicted
from expkit.metrics.predictions import ClassPredictions
from expkit.reports.run.figures import Measured

NAMES = ["simple", "text", "gradient", "complex"]


def predicted(targets: list[int], predictions: list[int]) -> ClassPredictions:
    right = np.array(targets) == np.array(predictions)
    return ClassPredictions(
        split="val",
        samples=[str(number) for number in range(len(targets))],
        targets=np.array(targets),
        predictions=np.array(predictions),
        ranks=np.where(right, 0, 1),
        probabilities=np.eye(4, dtype=np.float32)[predictions],
        class_names=NAMES,
    )


# recalls 4/4, 2/4, 1/2 and none of a class without samples; 5 of 10 predictions are simple
GIVEN = predicted([0] * 4 + [1] * 4 + [2] * 2, [0] * 4 + [1, 1, 0, 3] + [2, 3])


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("*", NAMES),
        ("*t", ["text", "gradient"]),
        ("?ext", ["text"]),
        ("text", ["text"]),
        ("t*x*", ["text"]),
        ("none", []),
        ("[st]*", []),  # no set of letters: a class may have a bracket in its name
    ],
)
def test_stars_and_question_marks_mean_classes(pattern: str, meant: list[str]) -> None:
    """All else in a pattern is itself."""
    assert matching_classes(pattern, NAMES) == meant


def test_a_class_of_that_very_name_comes_first() -> None:
    """A class may be called `*`."""
    assert matching_classes("*", ["a", "*"]) == ["*"]
    assert not is_pattern("*", ["a", "*"])
    assert is_pattern("*", ["a", "b"])
    assert not is_pattern(None, ["a"])


def test_the_worst_class_decides_and_is_named() -> None:
    """Of two with a recall of a half the one with two samples, about which less is known."""
    found = Measured.of(GIVEN).look_up("recall[*]")
    assert (found.value, found.class_name) == (0.5, "gradient")
    assert (found.num_samples, found.num_classes) == (2, 3)  # complex has no samples to recall
    assert found.interval == pytest.approx((0.0945, 0.9055), abs=1e-4)  # Wilson's of 1 of 2


def test_what_is_too_high_decides_where_less_is_asked() -> None:
    """`recall[*] < 0.6` falls to the class with the highest."""
    found = Measured.of(GIVEN).look_up("recall[*]", upward=False)
    assert (found.value, found.class_name) == (1.0, "simple")


def test_a_class_that_is_never_predicted_has_no_precision_and_meets_nothing() -> None:
    """It is the worst, whatever the others have: nobody may pass by never naming a class."""
    classes = measure_each_class(predicted([0, 0, 1, 1], [0, 0, 0, 0]))
    worst = worst_class("precision", judged_classes("*", classes), higher_is_better=True)
    assert worst is not None
    assert worst.name == "text"
    assert np.isnan(worst.precision)
    assert worst_class("recall", [], higher_is_better=True) is None


def test_the_class_that_most_predictions_go_to() -> None:
    """5 of 10 go to simple, whether they are right or not."""
    assert most_predicted(GIVEN) == ("simple", 5)
    found = Measured.of(GIVEN).look_up("max_predicted_fraction")
    assert (found.value, found.class_name, found.num_samples) == (0.5, "simple", 10)
    assert found.interval == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Wilson's of 5 of 10
