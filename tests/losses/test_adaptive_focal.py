"""Adaptive focal loss: its class weights by hand, and when they stand still."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from torch import Tensor

from expkit.losses.adaptive_focal import AdaptiveFocal
from expkit.losses.adaptive_focal_module import AdaptiveFocalLoss
from expkit.losses.focal import Focal

LOGITS = torch.tensor([[0.0, log(3)], [0.0, log(3)]])  # softmax: 1/4, 3/4; both predicted 1
TARGETS = torch.tensor([0, 1])


def loss_of(*, counts: tuple[int, ...] = (1, 1), **options: object) -> AdaptiveFocalLoss:
    made = AdaptiveFocal(**options).build(counts)  # type: ignore[arg-type]
    assert isinstance(made, AdaptiveFocalLoss)
    return made


def test_it_begins_as_focal_loss() -> None:
    """As after a memory of perfect predictions: each factor is 1."""
    assert loss_of(counts=(3, 1)).weight.tolist() == [1.0, 1.0]


def test_weights_after_one_batch_by_hand() -> None:
    """Of two classes one is predicted always, and half of what is remembered is this batch.

    B = 2 and memory 2 / ln 2 forget a half. Samples stay (1/2, 1/2); predictions become
    (1/4, 3/4), rights (1/4, 1/2), so recalls are (1/2, 1). Factors: (3/2)(1 / (3/4)) = 2 and
    1 x 1 / (5/4) = 4/5; the mean sample has 7/5, which leaves (10/7, 4/7).
    """
    loss = loss_of(memory=2 / log(2))
    value = loss(LOGITS, TARGETS)
    assert loss.of_predictions.tolist() == pytest.approx([0.25, 0.75])
    assert loss.of_right.tolist() == pytest.approx([0.25, 0.5])
    assert loss.weight.tolist() == pytest.approx([10 / 7, 4 / 7])
    # of weights 10/7 and 4/7 the mean of -(1 - p)^2 ln p: p = 1/4 of class 0 and 3/4 of class 1
    first, second = -9 / 16 * log(1 / 4), -1 / 16 * log(3 / 4)
    assert value.item() == pytest.approx((10 / 7 * first + 4 / 7 * second) / 2)


def test_weights_are_bounded_and_multiply_those_given() -> None:
    """After many such batches: recalls (0, 1), predictions (0, 1), factors 4 and 2/3.

    The mean sample has 7/3, which leaves (12/7, 2/7): cut to (1.5, 0.5), times 1 and 3.
    """
    loss = loss_of(memory=1.0, max_factor=1.5, min_factor=0.5, class_weights=[1.0, 3.0])
    for _ in range(30):
        loss(LOGITS, TARGETS)
    assert loss.weight.tolist() == pytest.approx([1.5, 1.5])
    free = loss_of(memory=1.0)
    for _ in range(30):
        free(LOGITS, TARGETS)
    assert free.weight.tolist() == pytest.approx([12 / 7, 2 / 7])


def test_a_memory_counts_samples_and_not_batches() -> None:
    """Two batches of one forget as much as one of two: exp(-2 / memory)."""
    loss = loss_of(memory=5.0)
    for row in range(2):
        loss(LOGITS[row : row + 1], TARGETS[row : row + 1])
    assert loss.of_predictions[0].item() == pytest.approx(0.5 * exp(-2 / 5))


def test_evaluation_neither_follows_nor_takes_the_weights() -> None:
    """Held-out loss is plain focal loss with the weights given: epochs can be compared."""
    loss = loss_of(memory=1.0, class_weights=[1.0, 3.0])
    loss(LOGITS, TARGETS)
    before = {name: each.clone() for name, each in loss.named_buffers()}
    plain = Focal(class_weights=[1.0, 3.0]).build((1, 1))
    assert torch.equal(loss.eval()(LOGITS, TARGETS), plain(LOGITS, TARGETS))
    assert all(torch.equal(each, before[name]) for name, each in loss.named_buffers())
    assert loss.weight.tolist() == [1.0, 3.0]
    assert loss.train().weight.tolist() != [1.0, 3.0]


def test_mixed_and_smoothed_targets() -> None:
    """A sample 0.3 of class 0 and 0.7 of class 1, predicted 1: its rights are the 0.7 alone."""
    loss = loss_of(memory=1.0, label_smoothing=0.2)
    mixed = torch.tensor([[0.3, 0.7]])
    forgets = 1 - exp(-1)
    value = loss(LOGITS[:1], mixed)
    assert loss.of_samples.tolist() == pytest.approx([0.5 - 0.2 * forgets, 0.5 + 0.2 * forgets])
    assert loss.of_right[1].item() == pytest.approx(0.5 + 0.2 * forgets)
    w = loss.weight.tolist()
    wanted = [0.8 * 0.3 + 0.1, 0.8 * 0.7 + 0.1]
    expected = -(w[0] * wanted[0] * 9 / 16 * log(1 / 4) + w[1] * wanted[1] * 1 / 16 * log(3 / 4))
    assert value.item() == pytest.approx(expected)


def test_a_class_without_samples_stays_a_number() -> None:
    """Nobody has it and nobody predicts it; balanced, it weighs nothing."""
    loss = loss_of(counts=(2, 0, 2), class_weights="balanced", memory=1.0)
    value = loss(torch.randn(4, 3), torch.tensor([0, 2, 0, 2]))
    assert value.isfinite()
    assert loss.weight.isfinite().all()
    assert loss.weight[1] == 0


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_weights_have_no_gradient(gamma: float) -> None:
    """The gradient is that of focal loss with these very weights."""
    logits = LOGITS.clone().requires_grad_()
    loss = loss_of(memory=2.0, gamma=gamma)
    loss(logits, TARGETS).backward()
    fixed = Focal(gamma, class_weights=loss.weight.tolist()).build((1, 1))
    other = LOGITS.clone().requires_grad_()
    fixed(other, TARGETS).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, other.grad)


def test_the_gates_take_plain_cross_entropy() -> None:
    """Their limits are stated in it."""
    plain = AdaptiveFocal().build(None, plain=True)
    assert plain(LOGITS, TARGETS).item() == pytest.approx((-log(1 / 4) - log(3 / 4)) / 2)


def test_nothing_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is read back in a step: neither `item` nor a truth of a tensor."""
    loss = loss_of()

    def refuse(self: Tensor) -> None:
        raise AssertionError("the device was waited for")

    for name in ("item", "__bool__", "tolist", "__float__"):
        monkeypatch.setattr(Tensor, name, refuse)
    loss(LOGITS, TARGETS)
    assert loss.weight is not None
