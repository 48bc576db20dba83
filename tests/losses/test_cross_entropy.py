"""Cross-entropy against numbers worked out by hand."""

from __future__ import annotations

from math import log

import pytest
import torch

from expkit.errors import UserError
from expkit.losses.cross_entropy import CrossEntropy

# softmax: 1/4, 3/4
LOGITS = torch.tensor([[0.0, log(3)], [0.0, log(3)]])
TARGETS = torch.tensor([0, 1])


def loss_of(source: CrossEntropy, counts: tuple[int, ...] = (1, 1)) -> float:
    value: float = source.build(counts)(LOGITS, TARGETS).item()
    return value


def test_plain_is_the_mean_surprise() -> None:
    """-ln of the right class's probability, over both samples."""
    assert loss_of(CrossEntropy()) == pytest.approx((-log(1 / 4) - log(3 / 4)) / 2)


def test_smoothing_shares_a_part_of_the_target() -> None:
    """Smoothed by 0.2 the target is 0.9 right and 0.1 wrong."""
    loss = CrossEntropy(label_smoothing=0.2).build((1, 1))
    # one sample alone: over both, what smoothing adds to one it takes from the other
    expected = -(0.9 * log(1 / 4) + 0.1 * log(3 / 4))
    assert loss(LOGITS[:1], TARGETS[:1]).item() == pytest.approx(expected)


def test_given_weights_weigh_the_classes() -> None:
    """A class of weight 3 counts three times in the weighted mean."""
    weighted = CrossEntropy(class_weights=[1, 3])
    assert loss_of(weighted) == pytest.approx((-log(1 / 4) - 3 * log(3 / 4)) / 4)


def test_balanced_weights_by_hand() -> None:
    """N / (C n_c): of 4 samples in 2 classes, one alone weighs 2 and three weigh 2/3."""
    weight = CrossEntropy(class_weights="balanced").build((1, 3)).weight
    torch.testing.assert_close(weight, torch.tensor([2, 2 / 3]))


def test_balanced_survives_a_class_without_samples() -> None:
    """It weighs nothing, and the others as if it counted among the classes."""
    weight = CrossEntropy(class_weights="balanced").build((2, 0, 2)).weight
    torch.testing.assert_close(weight, torch.tensor([2 / 3, 0, 2 / 3]))


def test_balanced_equals_plain_on_equal_counts() -> None:
    """Where nothing is out of balance nothing changes."""
    balanced = loss_of(CrossEntropy(class_weights="balanced"), (7, 7))
    assert balanced == pytest.approx(loss_of(CrossEntropy()))


def test_wrong_number_of_weights_is_refused() -> None:
    """With both numbers, and the key."""
    with pytest.raises(UserError, match="2 classes and 3 weights") as caught:
        CrossEntropy(class_weights=[1, 2, 3]).build((5, 5))
    assert caught.value.details["where"] == "loss.class_weights"


def test_mixed_targets_are_a_mean_over_samples() -> None:
    """Probabilities (0.3, 0.7) with weights 1 and 3: each class's surprise by its share."""
    loss = CrossEntropy(class_weights=[1, 3]).build((1, 1))
    expected = -(0.3 * log(1 / 4) + 3 * 0.7 * log(3 / 4))
    assert loss(LOGITS[:1], torch.tensor([[0.3, 0.7]])).item() == pytest.approx(expected)
