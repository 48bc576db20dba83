"""The loss of a constant prediction, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from synthetic_evidence import make_evidence, make_metadata, make_signal

from expkit.diagnosis.constant_predictor import constant_loss, stated_uniform_loss


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # fractions 3/4 and 1/4: 0.75 ln(4/3) + 0.25 ln 4
        ({}, 0.5623),
        ({"class_weights": "balanced"}, math.log(2)),
        ({"class_weights": [1.0, 3.0]}, math.log(2)),
        # half of it spread evenly: 0.625 and 0.375
        ({"label_smoothing": 0.5}, 0.6616),
        # a right prediction of one half counts for a half
        ({"_target_": "expkit.losses.focal.Focal", "gamma": 1.0}, 0.5623 / 2),
        # weights that follow the predictions raise the rare class: at most to both alike
        ({"_target_": "expkit.losses.adaptive_focal.AdaptiveFocal", "gamma": 0.0}, math.log(2)),
        ({"_target_": "mine.Loss"}, None),
    ],
)
def test_the_loss_of_a_constant_prediction(loss: dict[str, Any], expected: float | None) -> None:
    """By the classes' fractions, as the loss weighs them; None of a loss that nobody measured."""
    config = {"_target_": "expkit.losses.cross_entropy.CrossEntropy", **loss}
    evidence = make_evidence(metadata=make_metadata((75, 25), None), loss=config)
    assert constant_loss(evidence, "train") == pytest.approx(expected, abs=1e-4)


def test_a_measured_loss_counts_before_a_known_one() -> None:
    """Half of ln 2 at uniform outputs, whatever the loss is called."""
    measured = make_signal("loss", at_uniform=math.log(2) / 2)
    evidence = make_evidence(metadata=make_metadata((50, 50), None), signals=[measured])
    assert constant_loss(evidence, "train") == pytest.approx(math.log(2) / 2)


def test_chance_is_what_the_stated_loss_says_of_equal_outputs() -> None:
    """Focal loss of four classes and gamma 2: 0.75^2 ln 4; a loss of one's own is not known."""
    chance = math.log(4)
    focal = {"_target_": "expkit.losses.focal.Focal", "gamma": 2.0}
    assert stated_uniform_loss(focal, chance) == pytest.approx(0.5625 * chance)
    entropy = {"_target_": "expkit.losses.cross_entropy.CrossEntropy"}
    assert stated_uniform_loss(entropy, chance) == chance
    assert stated_uniform_loss({"_target_": "mine.Loss"}, chance) is None
