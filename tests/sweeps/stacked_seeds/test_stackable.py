"""What cannot be stacked is refused, and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from expkit.errors import UserError
from expkit.losses.adaptive_focal import AdaptiveFocal
from expkit.sweeps.stacked_seeds.stackable import refuse_unstackable
from expkit.training.device import Device
from expkit.training.learner import Learner

DEVICE = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")
IMAGES = torch.rand(4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 1, 2, 0])


def net(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 6, 3), *layers, nn.Flatten(), nn.Linear(24, 3))


def refuse(
    make: Callable[[], nn.Module] = net,
    optimizer: Callable[[Any], optim.Optimizer] = optim.Adam,
    loss: nn.Module | None = None,
    **options: Any,
) -> None:
    learners = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = make()
        given = {"device": DEVICE, "scale": lambda epochs, max_epochs: 1.0, **options}
        made = Learner(model, optimizer(model.parameters()), loss or nn.CrossEntropyLoss(), **given)
        learners.append(made)
    refuse_unstackable(learners, IMAGES, TARGETS, "procedure.train")


class FunctionalDropout(nn.Module):
    """Draws without a layer of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5, self.training)


class Peeking(nn.Module):
    """Looks at a number, as no batched program can."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.detach().sum()) > 0 else x * 3


class Ones(torch.autograd.Function):
    """Has another gradient in a batched program than alone: 1 for all, whatever came."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor) -> tuple[Tensor, int]:
        return x.movedim(in_dims[0], 0) * 1.5, 0


class Coupled(nn.Module):
    """A layer whose batched form is wrong."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = Ones.apply(x)
        return y


def test_nets_with_and_without_norms_pass() -> None:
    """Batch norm, group norm, several optimizers: nothing is refused."""
    refuse()
    refuse(lambda: net(nn.BatchNorm2d(6), nn.ReLU(inplace=True)))
    refuse(lambda: net(nn.GroupNorm(3, 6)))
    for optimizer in (optim.SGD, optim.AdamW, optim.RMSprop, optim.RAdam):
        refuse(optimizer=lambda given, make=optimizer: make(given, lr=0.1))  # type: ignore[misc]


def test_dropout_that_drops_nothing_passes() -> None:
    """What is not drawn from need not be refused."""
    refuse(lambda: net(nn.Dropout(0.0)))


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (lambda: nn.Dropout(0.1), "1 (Dropout) draws random numbers"),
        (lambda: nn.Sequential(nn.ReLU(), nn.RReLU()), "1.1 (RReLU) draws random numbers"),
        (FunctionalDropout, "1 (FunctionalDropout) draws random numbers"),
        (Peeking, "1 (Peeking): vmap: It looks like you're"),
        (Coupled, "the gradient of '0.weight' is another"),
    ],
)
def test_a_layer_is_refused_by_its_name(layer: Callable[[], nn.Module], told: str) -> None:
    """Each seed draws for itself; what cannot be batched, or comes out otherwise, is told."""
    with pytest.raises(UserError) as refused:
        refuse(lambda: net(layer()))
    assert refused.value.what.startswith(told)
    assert refused.value.details["do"] == "use launcher=local"


def test_a_loss_that_follows_the_training_is_refused() -> None:
    """Each seed's class weights follow its own predictions."""
    loss = AdaptiveFocal().build([2, 1, 1])
    before = {name: each.clone() for name, each in loss.named_buffers()}
    with pytest.raises(UserError) as refused:
        refuse(loss=loss)
    assert "AdaptiveFocalLoss.of_predictions changes" in refused.value.what
    assert refused.value.details["do"] == "use launcher=local"
    assert all(torch.equal(each, before[name]) for name, each in loss.named_buffers())


def test_weights_of_classes_with_smoothing_are_refused() -> None:
    """torch's own cross-entropy cannot be batched there."""
    with pytest.raises(UserError) as refused:
        refuse(loss=nn.CrossEntropyLoss(torch.ones(3), label_smoothing=0.1))
    assert refused.value.what.startswith("loss (CrossEntropyLoss): vmap")


class Own(optim.Adam):
    """A stranger's optimizer may do anything."""


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"optimizer": lambda given: Own(given, lr=0.1)}, "optimizer._target_"),
        ({"optimizer": optim.Adafactor}, "optimizer._target_=torch.optim.Adafactor"),
        ({"ema_decay": 0.9}, "procedure.train.ema_decay"),
        ({"device": replace(DEVICE, compile=True)}, "device.compile"),
        ({"device": replace(DEVICE, precision="fp16")}, "device.precision=fp16"),
    ],
)
def test_a_setting_is_refused_by_its_key(options: dict[str, Any], where: str) -> None:
    """What couples the learners' numbers, or has no stacked form."""
    with pytest.raises(UserError) as refused:
        refuse(**options)
    assert str(refused.value.details["where"]).startswith(where)


def test_what_rounding_alone_makes_is_no_difference() -> None:
    """A bias before a batch norm has no gradient but rounding, which is another in each program."""
    refuse(lambda: net(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)))
