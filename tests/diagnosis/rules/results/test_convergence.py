"""Rules on how training got on: no progress, best epoch first or last, at chance, diverged."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from evaluated_runs import TRAINED
from rule_findings import findings, found_by
from synthetic_curves import make_course
from synthetic_evidence import make_evidence, make_history
from training_curves import procedure

LN10 = math.log(10)


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

    def test_what_it_cost_is_said_afterwards(self) -> None:
        """15 epochs of 1 s since the best one; nothing is left to save."""
        losses = [1.0, 0.8, 0.6, 0.5, 0.4] + [0.41] * 15
        history = make_history(train__loss=losses, val__loss=losses)
        finding = found_by("no_improvement", make_evidence(history=history, stages=[TRAINED]))
        assert finding is not None
        assert finding.sentence == (
            "nothing on val got better since epoch 5: 15 epochs, 15 s, for nothing"
        )
        assert finding.remedies == [["procedure.train.patience=10"]]
        assert finding.evidence["epochs left"] == 0

    def test_an_accuracy_that_still_grows_is_progress(self) -> None:
        """Though the loss rises; and with patience there is nothing to say either."""
        losses = [1.0, 0.8, 0.6, 0.5, 0.4] + [0.41] * 15
        growing = [0.5 + 0.01 * e for e in range(20)]
        history = make_history(train__loss=losses, val__loss=losses, val__accuracy=growing)
        assert found_by("no_improvement", make_evidence(history=history)) is None
        history = make_history(train__loss=losses, val__loss=losses)
        for given in ({"patience": 30}, {"swa_epochs": 5}):  # refused together
            evidence = make_evidence(history=history, procedure=procedure(**given))
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


def test_a_dead_net_is_called_in_its_third_epoch() -> None:
    """At ln 10, and gradients are zero: it will stay there."""
    (found,) = findings("loss_at_chance", make_course([2.31, 2.303, 2.303], gradients=[1e-3, 0, 0]))
    assert found.severity == "fatal"
    assert found.epoch == 3
    assert found.remedies[0] == ["model.init=kaiming", "dataset.normalize=dataset"]


# log 2's backbone, in its own setting: eight steps an epoch, at ln 950 = 6.8565 until the sixth
SLOW_START = [6.8634, 6.8580, 6.8574, 6.8565, 6.8504, 6.7932, 6.6007]


@pytest.mark.parametrize("num_epochs", range(1, 8))
def test_a_slow_start_is_not_at_chance(num_epochs: int) -> None:
    """As it was recorded, epoch by epoch: its gradients live."""
    losses = [loss / math.log(950) * LN10 for loss in SLOW_START[:num_epochs]]
    assert not findings("loss_at_chance", make_course(losses))


def test_a_long_plateau_is_at_chance_though_gradients_live() -> None:
    """40 epochs of 32 steps, none better than another: a warning, for it might leave it yet."""
    flat = [2.303 + 0.001 * (-1) ** i for i in range(40)]
    (found,) = findings("loss_at_chance", make_course(flat))
    assert found.severity == "warning"
    assert not findings("loss_at_chance", make_course(flat[:20]))  # 640 steps


def test_a_plateau_that_sinks_is_left_alone() -> None:
    """1 % over its last half."""
    assert not findings("loss_at_chance", make_course([2.303 - 0.001 * i for i in range(40)]))


def test_a_plateau_below_chance_is_none() -> None:
    """Whoever is 4 % below it has learnt something."""
    assert not findings("loss_at_chance", make_course([2.21] * 40, gradients=0.0))


def test_numbers_that_end_are_named_with_their_place() -> None:
    """The epoch, its step, and the layer, as far as they were recorded."""
    signal = {"first_non_finite_step": 7, "origin": {"layer": "head.0", "type": "Linear"}}
    (found,) = findings("diverged", make_course([2.3, math.nan], signal=signal))
    assert found.severity == "fatal"
    assert found.epoch == 2
    assert found.sentence == "train/loss became nan in epoch 2, first at its step 7 in layer head.0"
    old = make_evidence(history=make_history(train__loss=[2.0, 1.5], val__loss=[2.0, math.inf]))
    (found,) = findings("diverged", old)
    assert found.sentence == "val/loss became inf in epoch 2"


def test_a_loss_far_above_its_start() -> None:
    """Two epochs at three times a constant prediction's; one alone may be a leap."""
    (found,) = findings("diverged", make_course([2.0, 8.0, 9.2]))
    assert found.evidence["growth"] == pytest.approx(9.2 / LN10)
    assert not findings("diverged", make_course([2.0, 9.2, 2.0]))
    assert not findings("diverged", make_course([2.3, 2.2, 2.1]))
    assert not findings("diverged", make_course([900.0, 60.0, 9.0]))  # it is coming down
