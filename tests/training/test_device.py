"""Devices: chosen by name, refused where they are not, and never swapped in silence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._inductor.config  # looks at the backends when first imported: before they are feigned
from torch import nn

from expkit.errors import UserError
from expkit.training import device as device_module
from expkit.training.device import DeviceChoice, available_devices, has_bf16


@pytest.fixture(autouse=True)
def globals_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Opening a device sets torch's globals, which other tests must not see."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # and what is set during a test goes
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = benchmark, False


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


class Machine:
    """Pretends that this machine has some GPUs, and bf16 or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.has()

    def has(self, *gpus: str, bf16: bool = False) -> None:
        patch = self._monkeypatch.setattr
        patch(torch.cuda, "is_available", lambda: "cuda" in gpus)
        patch(torch.cuda, "get_device_name", lambda: "Test GPU")
        patch(torch.cuda, "reset_peak_memory_stats", lambda: None)
        patch(torch.backends.mps, "is_available", lambda: "mps" in gpus)
        patch(device_module, "has_bf16", lambda name: bf16)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_device_that_is_not_there_is_refused(machine: Machine, name: str) -> None:
    """At once, by its key, with what there is instead."""
    with pytest.raises(UserError) as caught:
        DeviceChoice(name).open()
    assert caught.value.what == f"this machine has no {name} device that torch can use"
    assert caught.value.details["where"] == f"device={name}"
    assert (caught.value.details["allowed"] or "").startswith("cpu: ")
    assert "device=cpu" in (caught.value.details["do"] or "")


def test_refused_device_names_the_gpu_that_is_there(machine: Machine) -> None:
    """Who asks for CUDA on a Mac is told of MPS."""
    machine.has("mps")
    with pytest.raises(UserError) as caught:
        DeviceChoice("cuda").open()
    assert (caught.value.details["do"] or "").startswith("expkit train device=mps")


@pytest.mark.parametrize(
    ("gpus", "chosen", "why"),
    [
        (["cuda", "mps"], "cuda", "the best of cuda, mps, cpu"),
        (["cuda"], "cuda", "the best of cuda, cpu"),
        (["mps"], "mps", "the best of mps, cpu"),
        ([], "cpu", "no GPU that torch can use"),
    ],
)
def test_auto_takes_the_best_and_says_why(
    machine: Machine, gpus: list[str], chosen: str, why: str
) -> None:
    """CUDA before MPS before the processor."""
    machine.has(*gpus)
    device = DeviceChoice("auto").open()
    assert device.torch_device == torch.device(chosen)
    assert device.reason.startswith(f"{chosen} (")
    assert f"; {why})" in device.reason


def test_named_device_is_taken_although_a_better_is_there(machine: Machine) -> None:
    """Only `auto` chooses."""
    machine.has("cuda", "mps")
    assert list(available_devices()) == ["cuda", "mps", "cpu"]
    device = DeviceChoice("cpu").open()
    assert device.torch_device.type == "cpu"
    assert "asked for" in device.reason


@pytest.mark.parametrize(
    ("asked", "bf16", "precision", "why"),
    [
        ("auto", True, "bf16", "the hardware has it"),
        ("auto", False, "fp32", "no bf16 in hardware"),
        ("fp32", True, "fp32", "asked for"),
        ("bf16", False, "bf16", "asked for"),
        ("fp16", True, "fp16", "asked for"),
    ],
)
def test_precision_is_chosen_by_auto_alone(
    machine: Machine, asked: str, bf16: bool, precision: str, why: str
) -> None:
    """bf16 where the hardware has it; what is asked for otherwise, and why."""
    machine.has(bf16=bf16)
    device = DeviceChoice("cpu", precision=asked).open()
    assert device.precision == precision
    assert device.reason.endswith(f"{precision} ({why})")


def test_bf16_must_be_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated bf16 is slower than fp32: CUDA is asked without it, MPS cannot tell."""
    asked = []

    def is_supported(*, including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return True

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert has_bf16("cuda")
    assert asked == [False]
    assert not has_bf16("mps")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True}, False),
        ({}, False),
    ],
)
def test_bf16_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: bool
) -> None:
    """By the instructions that the processor has."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert has_bf16("cpu") == expected


def test_deterministic_is_set_and_reset(machine: Machine) -> None:
    """A sweep may ask for it in one run and not in the next of the same process."""
    DeviceChoice("cpu", deterministic=True).open()
    assert torch.are_deterministic_algorithms_enabled()
    DeviceChoice("cpu").open()
    assert not torch.are_deterministic_algorithms_enabled()


def test_threads_are_set_and_given_back(machine: Machine) -> None:
    """null after a number leaves them where torch had them, not where the last run did."""
    DeviceChoice("cpu").open()
    before = torch.get_num_threads()
    DeviceChoice("cpu", threads=before + 1).open()
    assert torch.get_num_threads() == before + 1
    DeviceChoice("cpu").open()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_autocast_computes_in_the_precision(
    machine: Machine, precision: str, dtype: torch.dtype
) -> None:
    """Weights stay float32, products come in the precision."""
    device = DeviceChoice("cpu", precision=precision).open()
    layer = nn.Linear(2, 2)
    with device.autocast():
        assert layer(torch.zeros(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_and_pictures_are_laid_out_alike(machine: Machine, channels_last: bool) -> None:
    """Both channels last, or both first: a mixture is converted at every step."""
    device = DeviceChoice("cpu", channels_last=channels_last).open()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    weight = device.place(nn.Conv2d(3, 4, 3)).weight
    stored = torch.rand(2, 5, 6, 3).permute(0, 3, 1, 2)
    arranged = device.arrange(stored)
    assert isinstance(weight, torch.Tensor)
    assert weight.is_contiguous(memory_format=layout)
    assert arranged.is_contiguous(memory_format=layout)
    assert torch.equal(arranged, stored)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the judge is Linux's /proc")
def test_peak_memory_is_in_bytes(machine: Machine) -> None:
    """The kernel's own high-water mark of this process, of which it counts in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (mark,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    peak = DeviceChoice("cpu").open().peak_memory_bytes()
    assert peak == pytest.approx(mark * 1024, rel=0.1)


def test_no_warning_of_numpy_where_denormals_are_flushed() -> None:
    """Its limits of floats are kept before they are: libraries ask for them while a run draws."""
    choice = DeviceChoice(name="cpu", precision="fp32", flush_denormals=True)
    choice.open()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.finfo(np.float32).tiny > 0
        assert np.finfo(np.float64).tiny > 0
