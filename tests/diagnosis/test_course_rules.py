"""Rules on how training got on: overfitting, no progress, the best epoch first or last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from synthetic_evidence import CONFIG, make_evidence, make_history, make_metadata

from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import examine, load_rules
from expkit.diagnosis.figures import noise, slope, smooth
from expkit.diagnosis.finding import Finding
from expkit.diagnosis.rules.results.overfitting import stopped_early
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.metadata import StageResult

RULES = load_rules()
TRAINED = StageResult("train", True, "50 of 50 epochs; best epoch 50", "Training", best_epoch=1)


def found_by(rule: str, evidence: Evidence) -> Finding | None:
    findings = examine(evidence, {rule: RULES[rule]})
    assert len(findings) <= 1
    return findings[0] if findings else None


def procedure(weights: str = "best", **train: Any) -> dict[str, Any]:
    stages = CONFIG["procedure"]
    return {
        "train": {**stages["train"], **train},
        "evaluate": {**stages["evaluate"], "of": None, "weights": weights},
    }


def wiggle(num_epochs: int, size: float, seed: int = 0) -> list[float]:
    """Noise that is the same in every run of the tests."""
    return np.random.default_rng(seed).normal(0, size, num_epochs).tolist()


def log_3(num_epochs: int = 50) -> dict[str, list[float]]:
    """Down to epoch 27 on held-out samples, and up from there; the training loss goes on down."""
    epochs = range(1, num_epochs + 1)
    val = [0.9 + 0.4 * ((e - 27) / 27) ** 2 for e in epochs]
    return {
        "train__loss": [1.4 * math.exp(-e / 20) for e in epochs],
        "val__loss": [a + b for a, b in zip(val, wiggle(num_epochs, 0.004), strict=True)],
        "val__accuracy": [0.6] * num_epochs,
    }


class TestOverfitting:
    def test_log_3s_turn_is_found(self) -> None:
        """Epoch 27 but for the noise of its neighbours; 0.9 rose to 1.19, by 32 %."""
        evidence = make_evidence(
            history=make_history(**log_3()), stages=[TRAINED], procedure=procedure()
        )
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.evidence["from epoch"] == pytest.approx(27, abs=2)
        assert "overfitting from epoch 2" in finding.sentence
        assert finding.evidence["val/loss now"] == pytest.approx(1.165, abs=0.01)
        assert finding.severity == "info"  # the best epoch is the one evaluated
        assert ["procedure.train.patience=5"] in [list(each) for each in finding.remedies]

    def test_what_patience_would_have_saved_by_hand(self) -> None:
        """Best at 3, none better at 4 and 5: stopped there, 3 epochs early, and 0.1 lost."""
        history = make_history(val__loss=[3, 2, 1.0, 1.5, 1.4, 1.3, 1.2, 0.9])
        found = stopped_early(history, "val/loss", patience=2)
        assert (found["stops at"], found["epochs saved"]) == (5, 3)
        assert found["val/loss lost"] == pytest.approx(0.1)

    def test_it_harms_where_the_last_epoch_is_kept(self) -> None:
        """The same losses, evaluated at their end, and gone on as long again as to the turn."""
        evidence = make_evidence(
            history=make_history(**log_3(60)), stages=[TRAINED], procedure=procedure("last")
        )
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.severity == "warning"

    def test_a_steep_start_is_no_noise(self) -> None:
        """Measured: down from 1.4 to 0.37 within 9 epochs, and slowly up to 0.47 by epoch 60."""
        val = [0.37 + 1.05 * math.exp(-e / 2) + 0.002 * max(0, e - 10) for e in range(60)]
        train = [2 * math.exp(-e / 4) for e in range(60)]
        history = make_history(train__loss=train, val__loss=val)
        evidence = make_evidence(history=history, stages=[TRAINED], procedure=procedure("last"))
        finding = found_by("overfitting", evidence)
        assert finding is not None
        assert finding.severity == "warning"
        assert 10 <= finding.evidence["from epoch"] <= 13

    @pytest.mark.parametrize(
        ("train", "val"),
        [
            # both fall
            ([2 - 0.05 * e for e in range(20)], [2 - 0.04 * e for e in range(20)]),
            # both rise: a rate too high is another matter
            ([1 + 0.05 * e for e in range(20)], [1 + 0.08 * e for e in range(20)]),
            # a noisy loss that stands
            ([2 - 0.05 * e for e in range(20)], [1 + n for n in wiggle(20, 0.1)]),
            # a plateau with a slight drift
            ([2 - 0.05 * e for e in range(20)], [1 + 0.001 * e for e in range(20)]),
            # three epochs
            ([2.0, 1.0, 0.5], [1.0, 2.0, 3.0]),
        ],
    )
    def test_other_courses_are_none(self, train: Sequence[float], val: Sequence[float]) -> None:
        """Only a rise beyond noise beside a training loss that falls."""
        history = make_history(train__loss=train, val__loss=val)
        evidence = make_evidence(history=history, stages=[TRAINED], procedure=procedure("last"))
        assert found_by("overfitting", evidence) is None


class TestNoImprovement:
    def test_what_going_on_costs_is_said(self) -> None:
        """Best at 5 of 20 so far, 30 epochs of 1 s left."""
        losses = [1.0, 0.8, 0.6, 0.5, 0.4] + [0.41] * 15
        history = make_history(train__loss=losses, val__loss=losses)
        finding = found_by("no_improvement", make_evidence(history=history))
        assert finding is not None
        assert finding.severity == "info"
        assert "since epoch 5: going on to the end costs 30 s more" in finding.sentence

    def test_hours_for_nothing_are_a_warning(self) -> None:
        """The same with 600 s an epoch: 300 minutes."""
        losses = [1.0, 0.8, 0.6, 0.5, 0.4] + [0.41] * 15
        history = make_history(train__loss=losses, val__loss=losses)
        slow = [{**record, "seconds": 600.0} for record in history]
        finding = found_by("no_improvement", make_evidence(history=slow))
        assert finding is not None
        assert finding.severity == "warning"
        assert finding.evidence["minutes left"] == pytest.approx(300)

    def test_an_accuracy_that_still_grows_is_progress(self) -> None:
        """Though the loss rises; and with patience there is nothing to say either."""
        losses = [1.0, 0.8, 0.6, 0.5, 0.4] + [0.41] * 15
        growing = [0.5 + 0.01 * e for e in range(20)]
        history = make_history(train__loss=losses, val__loss=losses, val__accuracy=growing)
        assert found_by("no_improvement", make_evidence(history=history)) is None
        history = make_history(train__loss=losses, val__loss=losses)
        evidence = make_evidence(history=history, procedure=procedure(patience=30))
        assert found_by("no_improvement", evidence) is None


class TestUnderfitting:
    def evidence(self, losses: Sequence[float], accuracies: Sequence[float]) -> Evidence:
        history = make_history(
            train__loss=losses, train__accuracy=accuracies, val__accuracy=accuracies
        )
        return make_evidence(history=history, stages=[TRAINED])

    def test_little_learnt_and_no_more_to_come(self) -> None:
        """20 % of ten classes: a ninth of the way from 10 % to all."""
        finding = found_by("underfitting", self.evidence([2.1] * 30, [0.2] * 30))
        assert finding is not None
        assert "20.00 % right, the largest class is 10.00 %" in finding.sentence

    def test_learnt_or_learning_is_none(self) -> None:
        """Half right and still; or a fifth right and falling."""
        assert found_by("underfitting", self.evidence([1.5] * 30, [0.5] * 30)) is None
        falling = [2.3 - 0.02 * e for e in range(30)]
        assert found_by("underfitting", self.evidence(falling, [0.2] * 30)) is None


class TestBestEpoch:
    def test_the_first_is_named_with_a_lower_rate(self) -> None:
        """1.0 at first, 1.5 at the end."""
        losses = [1.0, 1.2, 1.4, 1.5, 1.5, 1.5]
        evidence = make_evidence(history=make_history(val__loss=losses), stages=[TRAINED])
        finding = found_by("best_epoch_first", evidence)
        assert finding is not None
        assert finding.severity == "warning"
        assert list(map(list, finding.remedies)) == [["optimizer.lr=0.0001"]]

    @pytest.mark.parametrize(
        "losses",
        [
            [0.01] * 6,  # all right from the first epoch on
            [1.0, 1.01, 0.99, 1.02, 0.98, 1.0],  # not the first
            [1.0, 1.03, 1.0, 1.04, 1.01, 1.03],  # noise
            [1.0, 2.0, 3.0],  # too few to say
        ],
    )
    def test_a_first_that_is_no_better_is_none(self, losses: Sequence[float]) -> None:
        """Beyond the noise of an epoch it must be better."""
        evidence = make_evidence(history=make_history(val__loss=losses), stages=[TRAINED])
        assert found_by("best_epoch_first", evidence) is None

    def test_an_end_in_the_middle_of_progress_is_named_with_its_slope(self) -> None:
        """0.05 an epoch, all the way to epoch 10 of 10."""
        losses = [1 - 0.05 * e for e in range(10)]
        evidence = make_evidence(
            history=make_history(val__loss=losses),
            stages=[TRAINED],
            procedure=procedure(max_epochs=10),
        )
        finding = found_by("best_epoch_last", evidence)
        assert finding is not None
        assert finding.severity == "info"
        assert finding.evidence["gain an epoch"] == pytest.approx(0.05)
        assert list(map(list, finding.remedies)) == [["procedure.train.max_epochs=20"]]

    def test_an_end_on_a_plateau_is_none(self) -> None:
        """The last is the best by a hair, within noise."""
        losses = [1 / (1 + e) for e in range(5)] + [0.2, 0.21, 0.19, 0.21, 0.189]
        evidence = make_evidence(
            history=make_history(val__loss=losses),
            stages=[TRAINED],
            procedure=procedure(max_epochs=10),
        )
        assert found_by("best_epoch_last", evidence) is None


def recorded(split: str, right: int, total: int) -> ClassPredictions:
    ranks = np.array([0] * right + [1] * (total - right))
    zeros = np.zeros(total, np.int64)
    names = [f"{split}_{i}" for i in range(total)]
    return ClassPredictions(split, names, zeros, ranks, ranks, np.zeros((total, 2)), ("a", "b"))


class TestHeldOutBetterThanTrain:
    metadata = make_metadata(train=(500, 500), val=(200, 200))

    def evidence(self, train: float, val: float, **config: Any) -> Evidence:
        history = make_history(train__accuracy=[train] * 8, val__accuracy=[val] * 8)
        return make_evidence(metadata=self.metadata, history=history, stages=[TRAINED], **config)

    def test_augmentation_explains_it(self) -> None:
        """80 against 90 %, 4.5 standard errors: measured on pictures made harder."""
        augment = {**CONFIG["augment"], "transforms": {"flip": {}}}
        finding = found_by("held_out_better_than_train", self.evidence(0.8, 0.9, augment=augment))
        assert finding is not None
        assert finding.severity == "info"
        assert "augmentation" in finding.cause
        share = (0.8 * 1000 + 0.9 * 400) / 1400
        error = math.sqrt(share * (1 - share) * (1 / 1000 + 1 / 400))
        assert finding.evidence["standard errors apart"] == pytest.approx(0.1 / error)

    def test_standing_still_there_is_no_such_excuse(self) -> None:
        """Recorded answers of a net that does not train: easier samples, or leaked ones."""
        augment = {**CONFIG["augment"], "transforms": {"flip": {}}}
        answers = {"train": recorded("train", 800, 1000), "val": recorded("val", 360, 400)}
        evidence = make_evidence(
            metadata=self.metadata, stages=[TRAINED], predictions=answers, augment=augment
        )
        finding = found_by("held_out_better_than_train", evidence)
        assert finding is not None
        assert "easier" in finding.cause

    def test_a_difference_of_chance_or_the_other_way_is_none(self) -> None:
        """2 points of 400; and train better than val, as it should be."""
        assert found_by("held_out_better_than_train", self.evidence(0.88, 0.9)) is None
        assert found_by("held_out_better_than_train", self.evidence(0.95, 0.9)) is None

    def test_the_lag_of_a_training_figure_is_allowed_for(self) -> None:
        """It is the mean over an epoch: while both rise by 6 points an epoch, val seems ahead."""
        val = [0.3 + 0.06 * e for e in range(8)]
        history = make_history(train__accuracy=[v - 0.03 for v in val], val__accuracy=val)
        evidence = make_evidence(metadata=self.metadata, history=history, stages=[TRAINED])
        assert found_by("held_out_better_than_train", evidence) is None


def test_figures_by_hand() -> None:
    """A straight course has no noise; alternating +-1 has bends of 4; means of neighbours."""
    assert noise([1, 2, 3, 4, 5]) == 0
    assert noise([1, -1, 1, -1, 1]) == pytest.approx(4 / 0.6745 / math.sqrt(6))
    assert noise(wiggle(5000, 0.1)) == pytest.approx(0.1, rel=0.05)
    assert noise([100, 10, *wiggle(5000, 0.1)]) == pytest.approx(0.1, rel=0.05)
    assert slope([1, 3, 5]) == pytest.approx(2)
    assert smooth([0, 3, 6, 0]) == [1.5, 3, 3, 3]
