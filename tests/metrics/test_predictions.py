"""What predictions come to, against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from expkit.metrics.classification import decisive_sample, measure
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.metrics.selective_prediction import Sure
from expkit.reports.formatting import beside_metrics


def class_predictions(probabilities: Any, targets: Any, ranks: Any) -> ClassPredictions:
    table = np.array(probabilities, dtype=np.float32)
    return ClassPredictions(
        split="train",
        samples=[str(i) for i in range(len(table))],
        targets=np.array(targets),
        predictions=np.argmax(table, axis=1),
        ranks=np.array(ranks),
        probabilities=table,
        class_names=[str(i) for i in range(table.shape[1])],
    )


def test_classification_by_hand() -> None:
    """Accuracy counts ranks of 0, and log_loss is the mean of -ln of the right class."""
    answers = class_predictions([[0.5, 0.5], [0.75, 0.25]], targets=[0, 1], ranks=[0, 1])
    metrics = measure(answers)
    assert metrics["accuracy"] == 0.5
    assert metrics["log_loss"] == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert "top5_accuracy" not in metrics


def test_five_best_of_ten_classes() -> None:
    """A rank of 4 is among the five best and a rank of 5 is not."""
    answers = class_predictions(np.full((3, 10), 1 / 10), targets=[0, 1, 2], ranks=[0, 4, 5])
    assert measure(answers)["top5_accuracy"] == pytest.approx(2 / 3)


def test_ties_are_not_right() -> None:
    """A net that answers the same for every class is right nowhere, whatever argmax picks."""
    answers = class_predictions([[0.5, 0.5]], targets=[0], ranks=[1])
    assert answers.predictions[0] == 0
    assert measure(answers)["accuracy"] == 0


def test_nan_gives_nan_and_zero_stays_finite() -> None:
    """A probability that is no number spoils the loss; one that underflowed does not."""
    broken = class_predictions([[math.nan, math.nan], [0.0, 1.0]], targets=[0, 1], ranks=[1, 0])
    assert math.isnan(measure(broken)["log_loss"])
    underflown = class_predictions([[0.0, 1.0]], targets=[0], ranks=[1])
    assert measure(underflown)["log_loss"] == pytest.approx(36.04, abs=0.01)


def test_log_loss_is_scikit_learns() -> None:
    """Also of a probability of 0, and of 1, in double precision."""
    from sklearn.metrics import log_loss

    table = [[0.0, 1.0], [0.25, 0.75], [1.0, 0.0], [0.5, 0.5]]
    answers = class_predictions(table, targets=[0, 1, 0, 1], ranks=[1, 0, 0, 1])
    theirs = log_loss([0, 1, 0, 1], np.array(table, np.float64), labels=[0, 1])
    assert measure(answers)["log_loss"] == pytest.approx(theirs)


def test_regression_by_hand() -> None:
    """Errors 0, 0, 1 and 3 on targets that spread by 20 in all."""
    targets = np.array([[0, 0], [2, 6]], dtype=np.float32)
    predictions = np.array([[0, 0], [3, 9]], dtype=np.float32)
    metrics = measure(ValuePredictions("val", ["a", "b"], targets, predictions, ["x", "y"]))
    assert metrics["mae"] == pytest.approx(1.0)
    assert metrics["rmse"] == pytest.approx(math.sqrt(2.5))
    assert metrics["r2"] == pytest.approx(1 - 10 / 20)


def test_targets_that_do_not_vary_have_no_r2() -> None:
    """Nothing to explain gives nan, not a perfect score."""
    same = np.ones((3, 1), dtype=np.float32)
    assert math.isnan(measure(ValuePredictions("val", ["a", "b", "c"], same, same, ["x"]))["r2"])


def test_the_sample_that_decides_log_loss_is_named() -> None:
    """39 samples of ln 2, and one at 0 probability, 36.04: more than half of 63.08."""
    table = [[0.5, 0.5]] * 39 + [[0.0, 1.0]]
    found = decisive_sample(class_predictions(table, targets=[0] * 40, ranks=[1] * 40))
    assert found is not None
    assert found.sample == "39"
    assert found.fraction == pytest.approx(36.044 / (36.044 + 39 * math.log(2)), abs=1e-4)
    assert found.without == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    "table", [[[0.5, 0.5]] * 40, [[0.5, 0.5]] * 3 + [[0.0, 1.0]], [[math.nan, math.nan]] * 40]
)
def test_no_sample_decides(table: list[list[float]]) -> None:
    """Where all are alike, where they are few, and where the loss is no number."""
    count = len(table)
    predictions = class_predictions(table, targets=[0] * count, ranks=[1] * count)
    assert decisive_sample(predictions) is None


def answers_of_three(answered: list[int], targets: list[int]) -> ClassPredictions:
    table = np.full((len(answered), 3), 0.1)
    table[np.arange(len(answered)), answered] = 0.8
    ranks = np.array([0 if a == t else 1 for a, t in zip(answered, targets, strict=True)])
    predictions = class_predictions(table, targets, ranks)
    return replace(predictions, class_names=["clean", "pit", "maybe"])


def test_the_sure_are_counted_apart_from_maybe() -> None:
    """Ten samples, two of them maybe, six right: coverage 8 / 10, accuracy 6 / 8 and not 6 / 10."""
    predictions = answers_of_three([0] * 6 + [1] * 2 + [2] * 2, [0] * 10)
    sure = Sure.of(predictions, "maybe")
    assert sure is not None
    assert (sure.coverage, sure.accuracy) == (0.8, 0.75)
    assert measure(predictions)["accuracy"] == 0.6
    told = sure.to_json()
    assert told["coverage_interval"] == list(wilson(8, 10) or ())
    assert told["accuracy_interval"] == list(wilson(6, 8) or ())
    (text,) = beside_metrics({"judged_split": "test", "sure": {"test": told}})
    assert "8 of 10 samples" in text
    assert "coverage 80.00 % (49.0 to 94.3 %)" in text
    assert "accuracy among them 75.00 %" in text


def test_nobody_sure_has_no_accuracy() -> None:
    """And samples that were labelled maybe themselves are no question of being sure."""
    sure = Sure.of(answers_of_three([2, 2], [0, 1]), "maybe")
    assert sure is not None
    assert (sure.coverage, sure.accuracy) == (0, None)
    assert (
        "accuracy among"
        not in beside_metrics({"judged_split": "val", "sure": {"val": sure.to_json()}})[0]
    )
    assert Sure.of(answers_of_three([2, 2], [0, 2]), "maybe") is None
