"""Rules on how training got on: overfitting, no progress, the best epoch first or last."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from evaluated_runs import TRAINED
from rule_findings import found_by
from synthetic_evidence import make_evidence, make_history
from training_curves import procedure


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
