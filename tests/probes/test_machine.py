from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from expkit.probes import machine
from expkit.probes.machine import (
    describe_machine,
    find_accelerators,
    repeats_itself,
)
from expkit.training.device import Device, DeviceChoice

CPU = Device(torch.device("cpu"), "fp32", False, False, "made up")


@pytest.fixture(autouse=True)
def _as_before() -> object:
    yield
    DeviceChoice(threads=torch.get_num_threads()).open()


def test_what_is_asked_and_what_is_used_stand_beside_each_other() -> None:
    """Read back from torch, not from the wish: flushing, threads, determinism."""
    opened = DeviceChoice(name="cpu", precision="fp32", threads=1, flush_denormals=False).open()
    found = describe_machine({"name": "cpu"}, opened)
    assert (found["asked"], found["used"], found["precision"]) == ("cpu", "cpu", "fp32")
    assert "cpu" in found["available"]
    assert (found["threads"], found["flush_denormals"], found["deterministic"]) == (1, False, False)
    assert 1 <= found["cores"] <= (os.cpu_count() or 1)
    opened = DeviceChoice(name="cpu", flush_denormals=True).open()
    assert describe_machine({"name": "cpu"}, opened)["flush_denormals"] is True


def test_a_driver_that_torch_cannot_use_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its device file, else by nvidia-smi; and nothing is seen where there is neither."""
    node = tmp_path / "nvidia0"
    monkeypatch.setattr(machine, "DRIVER_FILES", {"NVIDIA GPU": (str(node),)})
    monkeypatch.setattr(machine.shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "platform", "linux")
    assert find_accelerators() == []
    node.touch()
    assert find_accelerators() == [f"NVIDIA GPU: {node}"]
    node.unlink()
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert find_accelerators() == ["NVIDIA GPU: nvidia-smi"]


class Drifting(nn.Module):
    """Counts its calls, and lets them show."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.calls = itertools.count(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * next(self.calls)


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])


def test_a_net_with_dropout_and_batch_norm_repeats_itself() -> None:
    """Draws come from the seed and statistics are put back; so are the weights and generator."""
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    samples = batch()
    generator = torch.get_rng_state()
    assert repeats_itself(net, nn.CrossEntropyLoss(), samples, CPU)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_net_that_keeps_state_does_not() -> None:
    """Its second answer is twice its first."""
    assert not repeats_itself(Drifting(), nn.CrossEntropyLoss(), batch(), CPU)
