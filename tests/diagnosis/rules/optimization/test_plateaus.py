"""Losses at chance and beyond all bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from synthetic_curves import make_course
from synthetic_evidence import make_evidence, make_history, make_metadata, make_signal

from expkit.diagnosis.constant_predictor import constant_loss
from expkit.diagnosis.evidence import Evidence
from expkit.diagnosis.examine import load_rules
from expkit.diagnosis.finding import Finding

LN10 = math.log(10)


def find(rule: str, evidence: Evidence) -> list[Finding]:
    return list(load_rules()[rule].find(evidence))


def test_a_dead_net_is_called_in_its_third_epoch() -> None:
    """At ln 10, and gradients are zero: it will stay there."""
    (found,) = find("loss_at_chance", make_course([2.31, 2.303, 2.303], gradients=[1e-3, 0, 0]))
    assert found.severity == "fatal"
    assert found.epoch == 3
    assert found.remedies[0] == ["model.init=kaiming", "dataset.normalise=dataset"]


# log 2's backbone, in its own setting: eight steps an epoch, at ln 950 = 6.8565 until the sixth
SLOW_START = [6.8634, 6.8580, 6.8574, 6.8565, 6.8504, 6.7932, 6.6007]


@pytest.mark.parametrize("num_epochs", range(1, 8))
def test_a_slow_start_is_not_at_chance(num_epochs: int) -> None:
    """As it was recorded, epoch by epoch: its gradients live."""
    losses = [loss / math.log(950) * LN10 for loss in SLOW_START[:num_epochs]]
    assert not find("loss_at_chance", make_course(losses))


def test_a_long_plateau_is_at_chance_though_gradients_live() -> None:
    """40 epochs of 32 steps, none better than another: a warning, for it might leave it yet."""
    flat = [2.303 + 0.001 * (-1) ** i for i in range(40)]
    (found,) = find("loss_at_chance", make_course(flat))
    assert found.severity == "warning"
    assert not find("loss_at_chance", make_course(flat[:20]))  # 640 steps


def test_a_plateau_that_sinks_is_left_alone() -> None:
    """1 % over its last half."""
    assert not find("loss_at_chance", make_course([2.303 - 0.001 * i for i in range(40)]))


def test_a_plateau_below_chance_is_none() -> None:
    """Whoever is 4 % below it has learnt something."""
    assert not find("loss_at_chance", make_course([2.21] * 40, gradients=0.0))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # shares 3/4 and 1/4: 0.75 ln(4/3) + 0.25 ln 4
        ({}, 0.5623),
        ({"class_weights": "balanced"}, math.log(2)),
        ({"class_weights": [1.0, 3.0]}, math.log(2)),
        # half of it spread evenly: 0.625 and 0.375
        ({"label_smoothing": 0.5}, 0.6616),
        # a right answer of one half counts for a half
        ({"_target_": "expkit.losses.focal.Focal", "gamma": 1.0}, 0.5623 / 2),
        ({"_target_": "mine.Loss"}, None),
    ],
)
def test_the_loss_of_a_constant_answer(loss: dict[str, Any], expected: float | None) -> None:
    """By the classes' shares, as the loss weighs them; None of a loss that nobody measured."""
    config = {"_target_": "expkit.losses.cross_entropy.CrossEntropy", **loss}
    evidence = make_evidence(metadata=make_metadata((75, 25), None), loss=config)
    assert constant_loss(evidence, "train") == pytest.approx(expected, abs=1e-4)


def test_a_measured_loss_counts_before_a_known_one() -> None:
    """Half of ln 2 at uniform outputs, whatever the loss is called."""
    measured = make_signal("loss", at_uniform=math.log(2) / 2)
    evidence = make_evidence(metadata=make_metadata((50, 50), None), signals=[measured])
    assert constant_loss(evidence, "train") == pytest.approx(math.log(2) / 2)


def test_numbers_that_end_are_told_with_their_place() -> None:
    """The epoch, its step, and the layer, as far as they were recorded."""
    signal = {"first_non_finite_step": 7, "origin": {"layer": "head.0", "type": "Linear"}}
    (found,) = find("diverged", make_course([2.3, math.nan], signal=signal))
    assert found.severity == "fatal"
    assert found.epoch == 2
    assert found.sentence == "train/loss became nan in epoch 2, first at its step 7 in layer head.0"
    old = make_evidence(history=make_history(train__loss=[2.0, 1.5], val__loss=[2.0, math.inf]))
    (found,) = find("diverged", old)
    assert found.sentence == "val/loss became inf in epoch 2"


def test_a_loss_far_above_its_start() -> None:
    """Two epochs at three times a constant answer's; one alone may be a leap."""
    (found,) = find("diverged", make_course([2.0, 8.0, 9.2]))
    assert found.evidence["growth"] == pytest.approx(9.2 / LN10)
    assert not find("diverged", make_course([2.0, 9.2, 2.0]))
    assert not find("diverged", make_course([2.3, 2.2, 2.1]))
    assert not find("diverged", make_course([900.0, 60.0, 9.0]))  # it is coming down
