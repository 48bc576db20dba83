"""Figures of classes, rankings and calibration, by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from synthetic_predictions import PITS, of_two
from synthetic_runs import answers

from expkit.metrics.baselines import chance_levels, constant_levels
from expkit.metrics.calibration import Calibration
from expkit.metrics.class_counts import ClassCounter
from expkit.metrics.classification import measure, measure_each_class
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.ranking import Ranker
from expkit.reports.run.figures import Measured


def test_macro_figures_by_hand() -> None:
    """Recalls 4/5 and 2/3, precisions 4/5 and 2/3."""
    found = measure(PITS)
    assert found["accuracy"] == pytest.approx(6 / 8)
    for name in ("balanced_accuracy", "macro_recall", "macro_precision", "macro_f1"):
        assert found[name] == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_rankings_by_hand() -> None:
    """Of 15 pairs one is in the wrong order; the third pit comes fourth."""
    found = measure(PITS)
    assert found["auroc"] == pytest.approx(14 / 15)
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_calibration_by_hand() -> None:
    """Sure of 90 % and right in 3 of 4: off by 0.15; sure of 60 % and right in 1 of 1: 0.4."""
    made = of_two([1, 1, 1, 0, 1], [0.9, 0.9, 0.9, 0.9, 0.6])
    assert measure(made)["calibration_error"] == pytest.approx(4 / 5 * 0.15 + 1 / 5 * 0.4)


def test_aurc_by_hand() -> None:
    """Right, wrong, right, right from the surest on: none, 1/2, 1/3 and 1/4 of those kept wrong."""
    made = of_two([1, 0, 1, 1], [0.9, 0.8, 0.7, 0.6])
    assert measure(made)["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_certainty_has_a_bin() -> None:
    """A probability of 1 lies in the last bin, one of 1/2 in the eighth."""
    found = Calibration.of(of_two([1, 0], [1.0, 0.5]))
    assert found is not None
    assert np.flatnonzero(found.counts).tolist() == [7, 14]


def test_a_collapsed_net_is_seen_through() -> None:
    """Always the largest class: balanced accuracy is a half, and precision is not flattered."""
    found = measure(of_two([0, 0, 0, 1], [0.1] * 4))
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_precision"] == pytest.approx(0.75 / 2)
    assert found["auroc"] == 0.5


def test_agrees_with_scikit_learn_on_ten_classes() -> None:
    """Every figure that it has too, where each class has samples and answers."""
    made = answers("val", np.repeat(np.arange(10), 40), [str(i) for i in range(10)], 0.8)
    true, said, table = made.targets, made.predictions, made.probabilities
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(true, said),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(true, said),
        "macro_precision": sklearn_metrics.precision_score(true, said, average="macro"),
        "macro_recall": sklearn_metrics.recall_score(true, said, average="macro"),
        "macro_f1": sklearn_metrics.f1_score(true, said, average="macro"),
        "auroc": sklearn_metrics.roc_auc_score(
            true, table / table.sum(1, keepdims=True), multi_class="ovr"
        ),
        "average_precision": sklearn_metrics.average_precision_score(np.eye(10)[true], table),
    }
    found = measure(made)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_weights_count_as_repeated_samples() -> None:
    """What the resampling computes is what scikit-learn says of the repeated samples, with ties."""
    random = np.random.default_rng(3)
    targets, scores = random.integers(0, 2, 50), random.integers(0, 8, 50) / 10
    weights = random.integers(0, 4, 50)
    auroc, precision = Ranker.of(targets == 1, scores).areas(weights[None].astype(float))
    again = np.repeat(np.arange(50), weights)
    expected = (
        sklearn_metrics.roc_auc_score(targets[again], scores[again]),
        sklearn_metrics.average_precision_score(targets[again], scores[again]),
    )
    assert (auroc[0], precision[0]) == pytest.approx(expected)
    made = of_two(targets.tolist(), scores.tolist())
    macro = ClassCounter.of(made).count(weights[None].astype(float)).macro()
    said = made.predictions[again]
    assert macro["macro_f1"][0] == pytest.approx(
        sklearn_metrics.f1_score(targets[again], said, average="macro")
    )


def test_what_cannot_be_known_is_nan_without_a_warning() -> None:
    """One class alone has no AUROC, and a class that is absent no recall."""
    found = measure(of_two([0, 0], [0.1, 0.2]))
    assert math.isnan(found["auroc"])
    assert found["balanced_accuracy"] == 1
    clean, pit = measure_each_class(of_two([0, 0], [0.1, 0.2]))
    assert (clean.recall, clean.precision, clean.f1) == (1, 1, 1)
    assert math.isnan(pit.recall)
    assert math.isnan(pit.precision)
    assert pit.recall_interval is None


def test_ties_and_nan_are_right_in_no_class() -> None:
    """Where argmax names the right class by accident, its recall does not gain."""
    broken = ClassPredictions(
        "val",
        ["a", "b"],
        np.array([0, 1]),
        np.array([0, 0]),
        np.array([1, 1]),
        np.full((2, 2), math.nan, np.float32),
        ["clean", "pit"],
    )
    found = measure(broken)
    assert found["balanced_accuracy"] == 0
    assert math.isnan(found["calibration_error"])
    assert math.isnan(found["auroc"])
    assert [figures.recall for figures in measure_each_class(broken)] == [0, 0]


def test_levels_of_ignorance() -> None:
    """The log's cherries: guessing gets half, always clean gets 53.83 %, each with its macro F1."""
    targets = [0] * 660 + [1] * 566
    made = of_two(targets, [0.2] * len(targets))
    chance, constant = chance_levels(made), constant_levels(made)
    assert (chance["accuracy"], chance["balanced_accuracy"]) == (0.5, 0.5)
    assert chance["average_precision"] == pytest.approx(566 / 1226)
    found = measure(made)  # which is that very net
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1", "auroc"):
        assert constant[name] == pytest.approx(found[name])
    assert constant["accuracy"] == pytest.approx(0.5383, abs=5e-5)


def test_one_class_is_looked_up() -> None:
    """`recall[pit]` is 2 of 3, stands on 3 samples, and has an interval; an unknown class none."""
    measured = Measured.of(PITS)
    figure = measured.look_up("recall[pit]")
    assert figure.value == pytest.approx(2 / 3)
    assert figure.num_samples == 3
    assert figure.interval is not None
    assert measured.look_up("f1[pit]").interval is None
    assert measured.look_up("recall[stone]").value is None
