from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from expkit.probes.layer_replay import relative_error
from expkit.probes.parity_steps import Parity, compare_devices
from expkit.training.device import Device, Precision
from expkit.training.learner import Learner


class SumsInPrecision(nn.Module):
    """Adds a large number and takes it away again: fp32 has the bits for it, bf16 has not."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + 1000) - 1000


class Overflows(nn.Module):
    """1e5 is beyond fp16's 65504."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x) * 1e5 / 1e5


class BackwardOff(torch.autograd.Function):
    @staticmethod
    def forward(context: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(context: object, gradient: Tensor) -> Tensor:
        return gradient * (3 if gradient.dtype == torch.bfloat16 else 1)


class WrongBackward(nn.Module):
    """Its outputs agree; its gradient is three times too large in bf16."""

    def forward(self, x: Tensor) -> Tensor:
        return BackwardOff.apply(x)


def device(precision: Precision) -> Device:
    return Device(torch.device("cpu"), precision, False, False, "made up")


def compare(
    make_layer: Callable[[], nn.Module], precision: Precision, num_steps: int = 2, lr: float = 0.01
) -> Parity:
    def make_learner(on: Device) -> Learner:
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 16), nn.ReLU(inplace=True), make_layer(), nn.Linear(16, 4)
        )
        return Learner(
            net,
            torch.optim.Adam(net.parameters(), lr=lr),
            nn.CrossEntropyLoss(),
            on,
            scale=lambda *_: 1.0,
        )

    generator = torch.Generator().manual_seed(1)
    batches = [
        (
            torch.randn(16, 1, 8, 8, generator=generator),
            torch.randint(4, (16,), generator=generator),
        )
        for _ in range(num_steps)
    ]
    return compare_devices(make_learner, device(precision), batches, 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_sound_net_is_within_tolerance(precision: Precision) -> None:
    """Every layer and every step; and of bf16 and fp16 the difference is not nothing."""
    parity = compare(lambda: nn.BatchNorm1d(16), precision, num_steps=3)
    assert parity.is_within
    assert [layer.name for layer in parity.layers] == ["0", "1", "2", "3", "4", "(output)"]
    assert [step.number for step in parity.steps] == [1, 2, 3]
    assert (parity.layers[1].error == 0) == (precision == "fp32")
    assert (parity.steps[0].loss_error == 0) == (precision == "fp32")


def test_a_layer_that_sums_large_numbers_in_bf16_is_named() -> None:
    """It and not the layers around it: 1000 has bf16's bits down to 4, and the inputs are below."""
    parity = compare(SumsInPrecision, "bf16")
    assert not parity.is_within
    assert parity.first_apart is not None
    assert (parity.first_apart.name, parity.first_apart.type) == ("3", "SumsInPrecision")
    assert parity.first_apart.error > 0.5
    by_name = {layer.name: layer for layer in parity.layers}
    assert by_name["4"].is_within  # given the same inputs
    assert by_name["4"].error_so_far > 0.1


def test_a_block_that_overflows_in_fp16_is_named_and_its_part_is_not() -> None:
    """What a block does outside its parts is its own."""
    parity = compare(Overflows, "fp16")
    assert parity.first_apart is not None
    assert (parity.first_apart.name, parity.first_apart.type) == ("3", "Overflows")
    assert not math.isfinite(parity.first_apart.error)
    assert next(layer for layer in parity.layers if layer.name == "3.inner").is_within


def test_a_wrong_gradient_is_named_by_its_parameter() -> None:
    """Every layer's outputs agree, and so do the losses: the fault is on the way back."""
    parity = compare(WrongBackward, "bf16")
    assert parity.first_apart is None
    assert not parity.is_within
    assert parity.steps[0].loss_error <= parity.steps[0].loss_tolerance
    assert parity.steps[0].worst_gradient.startswith("1.")
    assert parity.steps[0].worst_gradient_error == pytest.approx(2, abs=0.1)


def test_fp16_gradients_are_compared_under_a_scale_that_they_bear() -> None:
    """At GradScaler's first 65536 a gradient above 1 overflows, which training skips."""
    parity = compare(nn.Identity, "fp16", num_steps=1)
    assert parity.steps[0].gradient_error < 0.01
    assert math.isfinite(parity.steps[0].update_error)


def test_the_reference_is_the_uninterrupted_course() -> None:
    """Replaying layers and comparing changes nothing of the reference's own steps."""
    losses = [step.reference_loss for step in compare(nn.Identity, "bf16", num_steps=3).steps]
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(1)
    for loss_before in losses:
        images = torch.randn(16, 1, 8, 8, generator=generator)
        targets = torch.randint(4, (16,), generator=generator)
        loss = nn.functional.cross_entropy(net(images), targets)
        assert loss.item() == pytest.approx(loss_before, rel=1e-6)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_dropout_does_not_part_the_devices() -> None:
    """They would draw differently: whatever draws at random is off."""
    assert compare(lambda: nn.Dropout(0.9), "fp32").is_within


def test_relative_error_by_hand() -> None:
    """Of (3, 4) found as (3, 4.5) it is 0.5 / 5; nothing found as something is infinitely off."""
    assert relative_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])) == 0.1
    assert relative_error(torch.zeros(2), torch.zeros(2)) == 0
    assert relative_error(torch.zeros(2), torch.ones(2)) == math.inf
    assert math.isnan(relative_error(torch.ones(2), torch.tensor([1.0, math.nan])))
    both = torch.tensor([math.inf, math.nan, 2.0])
    assert relative_error(both, both) == 0
