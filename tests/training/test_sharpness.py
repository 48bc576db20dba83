"""Sharpness-aware steps: two passes, by hand and in the loop."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from expkit.errors import UserError
from expkit.optim.sam import RADIUS, refuse_unfit, sam
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.lr_finder import copy_learner

CPU = Device(torch.device("cpu"), "fp32", channels_last=False, compile=False, reason="")
INPUTS = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


class Scaled(nn.Module):
    """Outputs w * x, so that half their squares is a bowl in w where x is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([3.0, 4.0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.w * images


class HalfSquares(nn.Module):
    """Counts how often it was asked while training: a loss with a state."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("asked", torch.zeros(()))

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.asked += 1
        return ((outputs - targets) ** 2).sum() / 2


def learner_of(
    model: nn.Module, loss: nn.Module, base: Any = torch.optim.SGD, rho: float = 0.5, **more: Any
) -> Learner:
    optimizer = sam(model.parameters(), base=partial(base), lr=0.1, rho=rho)
    return Learner(model, optimizer, loss, CPU, scale=lambda epochs, most: 1.0, **more)


def test_a_step_on_a_bowl_by_hand() -> None:
    """From (3, 4) the gradient has length 5; half a unit up it is (3.3, 4.4), a tenth of it off."""
    model, loss = Scaled(), HalfSquares()
    learner = learner_of(model, loss)
    given, _ = learner.forward_backward(torch.ones(2), torch.zeros(2))
    assert model.w.grad is not None
    assert model.w.grad.tolist() == [3.0, 4.0]  # the true gradient, as statistics see it
    assert learner.step() is None
    assert given.item() == 12.5
    assert model.w.tolist() == pytest.approx([2.67, 3.56])
    assert loss.asked == 1  # the second pass leaves no trace in a loss's state


def test_gradients_of_several_batches_make_one_step() -> None:
    """Both passes go over both batches: as one batch of both."""
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    whole = learner_of(model, nn.CrossEntropyLoss())
    parts = copy_learner(whole)
    whole.forward_backward(INPUTS, TARGETS)
    for half in (slice(0, 4), slice(4, 8)):
        parts.forward_backward(INPUTS[half], TARGETS[half], fraction=0.5)
    whole.step()
    parts.step()
    torch.testing.assert_close(parts.model.weight, whole.model.weight)


def test_the_second_pass_updates_no_running_statistics() -> None:
    """As one forward pass at the weights before the step would leave them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))
    once = copy.deepcopy(model)
    once(INPUTS)
    learner = learner_of(model, nn.CrossEntropyLoss())
    learner.forward_backward(INPUTS, TARGETS)
    learner.step()
    for name, expected in once.named_buffers():
        assert model.get_buffer(name).equal(expected), name


def test_clipping_cuts_the_gradient_that_is_stepped_along() -> None:
    """That of the second pass: (3.3, 4.4), of length 5.5."""
    learner = learner_of(Scaled(), HalfSquares(), max_gradient_norm=0.55)
    learner.forward_backward(torch.ones(2), torch.zeros(2))
    norm = learner.step()
    assert norm is not None
    assert norm.item() == pytest.approx(5.5)
    assert learner.model.w.tolist() == pytest.approx([3 - 0.033, 4 - 0.044], rel=1e-5)


def test_a_base_that_evaluates_the_loss_itself_is_refused() -> None:
    made = sam(nn.Linear(2, 2).parameters(), base=torch.optim.LBFGS)
    with pytest.raises(UserError, match="LBFGS evaluates the loss itself"):
        refuse_unfit(made, "fp32", "optimizer")


def test_fp16_is_refused_and_bf16_is_not() -> None:
    """A plain optimizer may have fp16, and one whose own option is called rho is no sam."""
    parameters = list(nn.Linear(2, 2).parameters())
    made = sam(parameters, base=torch.optim.Adadelta)
    assert made.param_groups[0][RADIUS] == 0.05
    assert made.param_groups[0]["rho"] == 0.9
    refuse_unfit(made, "bf16", "optimizer")
    refuse_unfit(torch.optim.Adadelta(parameters), "fp16", "optimizer")
    with pytest.raises(UserError, match="fp16 scales them"):
        refuse_unfit(made, "fp16", "optimizer")


def test_a_base_has_no_learning_rate_of_its_own() -> None:
    with pytest.raises(UserError, match="learning rate"):
        sam([], base=partial(torch.optim.SGD, lr=1.0))
