"""What predictions come to, against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from expkit.records.predictions import ClassPredictions, ValuePredictions
from expkit.reports.metrics import measure


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


def test_five_best_need_more_than_five_classes() -> None:
    """A rank of 4 is among the five best and a rank of 5 is not."""
    answers = class_predictions(np.full((3, 6), 1 / 6), targets=[0, 1, 2], ranks=[0, 4, 5])
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
