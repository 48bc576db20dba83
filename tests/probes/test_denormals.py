"""Denormal numbers: counted by hand, found in a model, and timed where they are flushed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from expkit.probes.denormals import (
    count_denormals,
    find_in_activations,
    find_in_weights,
    flushing,
    measure_flushing,
)
from expkit.probes.machine import flushes_denormals
from expkit.training.device import Device

CPU = Device(torch.device("cpu"), "fp32", channels_last=False, compile=False, reason="")


@pytest.fixture(params=[False, True], autouse=True)
def _flushes(request: pytest.FixtureRequest) -> Iterator[None]:
    """As a run may have left this process: the counts are the same."""
    before = flushes_denormals()
    torch.set_flush_denormal(request.param)
    yield
    torch.set_flush_denormal(before)


def faded() -> nn.Sequential:
    """Two layers, the second of which was scaled to 1e-40."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5, bias=False)).eval()
    with flushing(False), torch.no_grad():
        model[0].weight.fill_(1.0)
        model[2].weight.fill_(1.0).mul_(1e-40)
    return model


@pytest.mark.parametrize(
    ("dtype", "tiny"),
    [(torch.float32, 2.0**-126), (torch.bfloat16, 2.0**-126), (torch.float64, 2.0**-1022)],
)
def test_denormals_are_counted_by_hand(dtype: torch.dtype, tiny: float) -> None:
    """Zeros, the smallest normal number, infinity and NaN are none; the sign is no matter."""
    with flushing(False):
        normal = [0.0, -0.0, 1.0, tiny, -tiny, float("inf"), float("nan")]
        tensor = torch.tensor([*normal, tiny / 2, -tiny / 4], dtype=torch.float64).to(dtype)
    assert count_denormals(tensor) == 2


def test_whole_numbers_and_halves_are_no_matter() -> None:
    """A CPU's switch does not reach float16."""
    assert count_denormals(torch.tensor([1, 2])) == 0
    assert count_denormals(torch.tensor([1e-7], dtype=torch.float16)) == 0


def test_faded_weights_and_their_outputs_are_found() -> None:
    """30 of 24 + 6 + 30 weights, and of 3 images the 5 outputs of that layer."""
    model, images = faded(), torch.ones(3, 4)
    weights = find_in_weights(model)
    assert (weights.count, weights.total, weights.where) == (30, 60, "2.weight")
    activations = find_in_activations(model, CPU, images)
    assert (activations.count, activations.total) == (3 * 5, 3 * (6 + 6 + 5))
    assert activations.where == "2"
    assert not any(layer._forward_hooks for layer in model)


def test_a_healthy_model_has_none() -> None:
    """And no place where the most of them were."""
    model = nn.Linear(4, 2)
    found = find_in_weights(model), find_in_activations(model, CPU, torch.ones(1, 4))
    assert [(each.count, each.where) for each in found] == [(0, ""), (0, "")]


def test_the_manner_and_the_threads_are_left_as_they_were() -> None:
    """With one thread: the others keep the manner in which they were started."""
    before, threads = flushes_denormals(), torch.get_num_threads()
    with flushing(not before):
        assert flushes_denormals() is not before
        assert torch.get_num_threads() == 1
    assert flushes_denormals() is before
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("kept", "is_faster"), [(0.8, True), (0.011, False), (0.0101, False)])
def test_what_flushing_gains_by_a_clock_of_hand(kept: float, is_faster: bool) -> None:
    """10 ms flushed: 800 ms kept is a gain, a tenth is not more than a tenth."""
    now = 0.0

    def predict() -> Tensor:
        nonlocal now
        now += 0.010 if flushes_denormals() else kept
        return torch.tensor([1.0 if flushes_denormals() else 1.25])

    gain = measure_flushing(predict, 5.0, lambda: now)
    assert gain is not None
    assert gain.kept_ms == pytest.approx(1000 * kept)
    assert gain.flushed_ms == pytest.approx(10)
    assert gain.is_faster is is_faster
    assert gain.largest_difference == 0.25


def test_noise_is_no_gain() -> None:
    """Twice as slow in four rounds of five, and as fast in one."""
    now, calls = 0.0, 0

    def predict() -> Tensor:
        nonlocal now, calls
        calls += 1
        slow = not flushes_denormals() and calls > 4
        now += 2.0 if slow else 1.0
        return torch.zeros(1)

    gain = measure_flushing(predict, 5.0, lambda: now)
    assert gain is not None
    assert gain.kept_ms == 2 * gain.flushed_ms
    assert not gain.is_faster
