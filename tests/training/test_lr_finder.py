"""The range test: it finds the rate at which a line leaves its data, and touches nothing."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import nn

from expkit.data.store.normalizer import Normalizer
from expkit.data.store.split import Split
from expkit.training.device import Device
from expkit.training.learner import Learner
from expkit.training.lr_finder import first_above, smooth, steepest, summarise, sweep_lrs

DEVICE = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
PIXEL = Normalizer(torch.ones(1), torch.zeros(1))


def split_of(num: int = 32) -> Split:
    """Images of one pixel x, alternately -1 and 1 once normalized, whose target is 3 x."""
    images = torch.tensor([0, 2] * (num // 2), dtype=torch.uint8).view(-1, 1, 1, 1)
    targets = 3 * (images.float().view(-1, 1) - 1)
    unit = Normalizer(torch.ones(1), -torch.ones(1))
    return Split("train", images, targets, [str(i) for i in range(num)], None, unit)


def net() -> nn.Sequential:
    """With all that could be disturbed: statistics, draws, a weight."""
    torch.manual_seed(3)
    layers = (nn.Flatten(), nn.BatchNorm1d(1), nn.Linear(1, 4), nn.Dropout(0.2), nn.Linear(4, 1))
    return nn.Sequential(*layers)


def learner_of(model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> Learner:
    return Learner(model, optimizer, nn.MSELoss(), DEVICE, scale=lambda *_: 1.0, **options)


def slope() -> nn.Sequential:
    """y = w x from w = 0: its loss (w - 3)^2 has the curvature 2, whatever the batch."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 1, bias=False))
    nn.init.zeros_(model[1].weight)
    return model


def test_bursts_where_gradient_descent_must() -> None:
    """A step of rate r multiplies the error by 1 - 2 r: above r = 1 it grows, at 2 it triples."""
    model = slope()
    learner = learner_of(model, torch.optim.SGD(model.parameters(), lr=0.01))
    found = sweep_lrs(learner, split_of(), batch_size=8, seed=0)
    assert found is not None
    # errors that shrank to nothing before have to grow back before the loss is above its start
    assert 1 < found["diverged_at"] <= 10
    assert found["suggested"] == pytest.approx(found["diverged_at"] / 20)
    assert 0.01 < found["steepest_at"] < 1
    assert found["configured"] == 0.01
    assert len(found["lrs"]) == len(found["losses"]) == len(found["smoothed"])
    assert found["num_steps"] == len(found["losses"]) <= 60
    assert not found["gradients_left"]


OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    lambda p: torch.optim.Adam(p, lr=0.001, fused=True),
    lambda p: pytorch_optimizer.Lion(p, lr=0.001),
    lambda p: pytorch_optimizer.Ranger(p, lr=0.001),
]


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("used", [False, True])
def test_changes_nothing(make: Any, used: bool) -> None:
    """Weights, statistics, the optimizer's state, modes and torch's draws are what they were."""
    model, split = net(), split_of()
    learner = learner_of(model, make(model.parameters()), max_gradient_norm=1.0)
    if used:
        learner.forward_backward(*next(split.batches(8)))
        learner.step()
    model[1].eval()
    before = copy.deepcopy((model.state_dict(), learner.optimizer.state_dict()))
    modes = [layer.training for layer in model.modules()]
    draws, scaler = torch.get_rng_state(), learner.scaler.state_dict()
    found = sweep_lrs(learner, split, batch_size=8, seed=0)
    assert found is not None
    assert found["num_steps"] >= 15
    after = (model.state_dict(), learner.optimizer.state_dict())
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert [layer.training for layer in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), draws)
    assert learner.scaler.state_dict() == scaler
    assert all(parameter.grad is None for parameter in model.parameters())


def test_is_the_same_twice() -> None:
    """Its draws are of its seed alone."""
    model = net()
    learner = learner_of(model, torch.optim.Adam(model.parameters()))
    first = sweep_lrs(learner, split_of(), batch_size=8, seed=5)
    torch.rand(3)
    assert sweep_lrs(learner, split_of(), batch_size=8, seed=5) == first


def test_groups_keep_their_ratio() -> None:
    """The rates asked for are the first group's; a second at a tenth of it moves a tenth."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 1))
    seen = []

    class Spy(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            seen.append([group["lr"] for group in self.param_groups])

    weight, bias = model.parameters()
    optimizer = Spy([{"params": [weight], "lr": 0.1}, {"params": [bias], "lr": 0.01}])
    sweep_lrs(learner_of(model, optimizer), split_of(), batch_size=8, seed=0)
    rates = torch.tensor(seen)
    torch.testing.assert_close(rates[:, 1], rates[:, 0] / 10)
    assert rates[0, 0] == pytest.approx(1e-7)
    assert rates[-1, 0] == pytest.approx(10)


def test_none_where_time_is_short() -> None:
    """Fewer than fifteen steps would be no test."""
    model = net()
    learner = learner_of(model, torch.optim.Adam(model.parameters()))
    assert sweep_lrs(learner, split_of(), batch_size=8, seed=0, max_seconds=1e-6) is None


def test_none_without_a_rate() -> None:
    """At a rate of 0 the groups have no ratio to it."""
    model = net()
    learner = learner_of(model, torch.optim.SGD(model.parameters(), lr=0.0))
    assert sweep_lrs(learner, split_of(), batch_size=8, seed=0) is None


def test_none_for_a_model_that_cannot_be_copied() -> None:
    """A tensor that was computed with a gradient is not torch's to copy."""
    model = slope()
    model.cached = model[1].weight * 2
    learner = learner_of(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert sweep_lrs(learner, split_of(), batch_size=8, seed=0) is None


def test_none_for_a_loss_that_is_no_number() -> None:
    """A model that answers NaN does so at any rate."""
    model = slope()
    nn.init.constant_(model[1].weight, math.nan)
    learner = learner_of(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert sweep_lrs(learner, split_of(), batch_size=8, seed=0) is None


def test_tells_gradients_that_stay() -> None:
    """An optimizer that does not clear its gradients is seen before training."""

    class Forgetful(torch.optim.SGD):
        def zero_grad(self, set_to_none: bool = True) -> None:
            pass

    model = slope()
    learner = learner_of(model, Forgetful(model.parameters(), lr=0.01))
    found = sweep_lrs(learner, split_of(), batch_size=8, seed=0)
    assert found is not None
    assert found["gradients_left"]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_summary_by_hand() -> None:
    """Level 2 by the first quarter, its margin 3 %: 2.1 alone is chance, 2.1 and 3 are not."""
    losses = [2.0, 2.0, 2.1, 1.0, 1.5, 2.1, 3.0, 9.0]
    found = summarise([1, 2, 3, 4, 5, 6, 7, 8], losses)
    assert found["diverged_at"] == 6
    assert found["suggested"] == 0.3


def test_a_loss_without_end_is_above_any_bound() -> None:
    """NaN is not below anything."""
    assert first_above([1, 2, 3], [0.5, 0.5, math.nan], 1.0) == 3
    assert first_above([1, 2, 3], [0.5, 0.5, 0.5], 1.0) is None


def test_smoothing_by_hand() -> None:
    """Weights 0.7 and 0.3 of two losses, of 0.51 in all: (0.21 x 1 + 0.3 x 2) / 0.51."""
    assert smooth([1.0, 2.0]) == pytest.approx([1.0, 0.81 / 0.51])


def test_steepest_by_hand() -> None:
    """The greatest fall is the one to the third rate; a flat loss has none."""
    assert steepest([1, 2, 3, 4], [5.0, 4.5, 2.0, 1.9], 0.1) == 3
    assert steepest([1, 2, 3, 4], [5.0, 5.0, 4.99, 5.0], 0.1) is None
