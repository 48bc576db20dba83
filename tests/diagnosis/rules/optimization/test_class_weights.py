"""Class weights given by hand, beside the samples that they weigh."""

from __future__ import annotations

from typing import Any

import pytest
from rule_findings import findings
from synthetic_evidence import make_evidence, make_metadata

from expkit.diagnosis.finding import Finding

LOSS = {"_target_": "expkit.losses.cross_entropy.CrossEntropy"}


def find(weights: Any, train: tuple[int, ...] = (100,) * 10) -> list[Finding]:
    loss = {**LOSS, "class_weights": weights}
    return findings("loss_settings", make_evidence(metadata=make_metadata(train), loss=loss))


def test_a_class_that_drowns_the_others() -> None:
    """10,000 of 10,009 parts, written with a point or without."""
    for weights in ([10000.0] + [1.0] * 9, [10000] + [1] * 9):
        (found,) = find(weights)
        assert found.evidence["fraction of the loss"] == pytest.approx(10000 / 10009)
        assert "by its weight 10000 the class 'class_0' makes 99.9 % of the loss" in found.sentence
        assert found.remedies[0] == ["loss.class_weights=balanced"]


def test_a_class_without_a_say() -> None:
    """A thousandth of what its samples would have is next to nothing."""
    (found,) = find([1.0] * 9 + [1e-3])
    assert "class_9" in found.sentence


@pytest.mark.parametrize(
    ("weights", "train"),
    [
        ([2.845, 0.569, 1.478, 0.823], (88, 439, 169, 304)),  # log 3's, all alike
        ([1.0, 50.0], (980, 20)),  # a rare class at half
        ([20.0] + [1.0] * 9, (100,) * 10),  # one that matters
        ([1.0, 1.0], (980, 20)),  # the data's own imbalance is another matter
        ("balanced", (980, 20)),
        (None, (980, 20)),
    ],
)
def test_weights_that_are_sound(weights: Any, train: tuple[int, ...]) -> None:
    """What is rare or dear is weighed up, and the others keep their say."""
    assert not find(weights, train)
