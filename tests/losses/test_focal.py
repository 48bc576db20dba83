"""Focal loss against numbers worked out by hand, and against cross-entropy where they meet."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from expkit.losses.cross_entropy import CrossEntropy
from expkit.losses.focal import Focal
from expkit.losses.focal_module import FocalLoss

# softmax: 1/4, 3/4
LOGITS = torch.tensor([[0.0, log(3)], [0.0, log(3)]])
TARGETS = torch.tensor([0, 1])
MANY_LOGITS = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MANY_TARGETS = torch.tensor([0, 1, 2, 3, 3, 1, 0])
MIXED = MANY_LOGITS.roll(1, 0).softmax(1)


def loss_of(source: Focal, targets: Tensor = TARGETS) -> float:
    value: float = source.build((1, 1))(LOGITS, targets).item()
    return value


def test_what_is_sure_counts_for_less() -> None:
    """(1 - p)^2 before -ln p: 9/16 of the sample at p = 1/4 and 1/16 of the one at 3/4."""
    expected = (-9 / 16 * log(1 / 4) - 1 / 16 * log(3 / 4)) / 2
    assert loss_of(Focal(gamma=2.0)) == pytest.approx(expected)


def test_weights_weigh_the_classes() -> None:
    """A class of weight 3 counts three times, and the mean is over the weights."""
    expected = (-9 / 16 * log(1 / 4) - 3 * 1 / 16 * log(3 / 4)) / 4
    assert loss_of(Focal(class_weights=[1, 3])) == pytest.approx(expected)


def test_smoothing_shares_a_part_of_the_target() -> None:
    """Smoothed by 0.2, 0.9 of the target doubts 1/4 and 0.1 of it doubts 3/4."""
    loss = Focal(label_smoothing=0.2).build((1, 1))
    expected = -(0.9 * 9 / 16 * log(1 / 4) + 0.1 * 1 / 16 * log(3 / 4))
    assert loss(LOGITS[:1], TARGETS[:1]).item() == pytest.approx(expected)


def test_mixed_targets_by_hand() -> None:
    """A sample that is 0.3 of one class and 0.7 of the other, with weights 1 and 3."""
    loss = Focal(class_weights=[1, 3]).build((1, 1))
    expected = -(0.3 * 9 / 16 * log(1 / 4) + 3 * 0.7 * 1 / 16 * log(3 / 4))
    assert loss(LOGITS[:1], torch.tensor([[0.3, 0.7]])).item() == pytest.approx(expected)


def test_sure_targets_given_as_probabilities_are_classes() -> None:
    """One-hot rows and class numbers are two spellings of the same."""
    assert loss_of(Focal(), torch.eye(2)) == pytest.approx(loss_of(Focal()))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 3.0]])
@pytest.mark.parametrize("targets", [MANY_TARGETS, MIXED], ids=["classes", "mixed"])
def test_the_formula_at_gamma_0_is_cross_entropy(
    smoothing: float, weights: list[float] | None, targets: Tensor
) -> None:
    """In double precision, with torch's own as the judge of every combination."""
    weight_C = torch.tensor(weights or [1.0] * 4, dtype=torch.float64)
    ours = FocalLoss(0.0, smoothing, weight_C)(MANY_LOGITS, targets)
    theirs = torch.nn.CrossEntropyLoss(weight_C, label_smoothing=smoothing)(MANY_LOGITS, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)


def test_gamma_0_is_cross_entropy_to_the_bit() -> None:
    """A run with it gives the numbers of a run without."""
    options = {"label_smoothing": 0.1, "class_weights": "balanced"}
    ours, theirs = Focal(0.0, **options), CrossEntropy(**options)  # type: ignore[arg-type]
    logits = MANY_LOGITS.float()
    counts = (2, 2, 1, 2)
    assert torch.equal(
        ours.build(counts)(logits, MANY_TARGETS), theirs.build(counts)(logits, MANY_TARGETS)
    )


def test_the_gates_take_plain_cross_entropy() -> None:
    """Their limits are stated in it."""
    source = Focal(label_smoothing=0.5, class_weights=[1, 3])
    plain = source.build(None, plain=True)(LOGITS, TARGETS).item()
    assert plain == pytest.approx((-log(1 / 4) - log(3 / 4)) / 2)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_a_certain_prediction_has_a_gradient(gamma: float) -> None:
    """At p = 1 the slope of (1 - p)^0.5 is infinite; right and wrong, the gradient is a number."""
    logits = torch.tensor([[200.0, 0.0], [200.0, 0.0]], requires_grad=True)
    Focal(gamma=gamma).build((1, 1))(logits, TARGETS).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0].abs().max() < 1e-3
    # wrong for certain: the slope of cross-entropy, half of it in the mean of two
    torch.testing.assert_close(logits.grad[1], torch.tensor([0.5, -0.5]))


def test_the_gradient_is_the_slope() -> None:
    """Against finite differences, for mixed targets with weights and smoothing."""
    loss = FocalLoss(2.0, 0.1, torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64))
    logits = MANY_LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: loss(given, MIXED), (logits,))
