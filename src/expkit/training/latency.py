"""The latency of a model: the time for one batch after warm-up."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from expkit.errors import UserError
from expkit.training.device import Device

WARM_UP_SECONDS = 1.0
MIN_RUNS = 10


@torch.inference_mode()
def measure_latency(
    model: nn.Module, device: Device, shape: tuple[int, ...], seconds: float
) -> dict[str, Any]:
    """Milliseconds of one batch of prepared images, until the outputs are there."""
    torch.manual_seed(0)
    with _explain_memory(shape[0]):
        images_BCHW = device.arrange(torch.randn(shape, device=device.torch_device))
        if device.channels_last:
            images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
        _time_runs(model, device, images_BCHW, WARM_UP_SECONDS)
    times_ms = torch.tensor(_time_runs(model, device, images_BCHW, seconds)) * 1000
    median, p95, p99 = torch.quantile(times_ms, torch.tensor([0.5, 0.95, 0.99])).tolist()
    return {
        "shape": list(shape),
        "threads": torch.get_num_threads(),
        "num_runs": len(times_ms),
        "median_ms": median,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": times_ms.max().item(),
        "samples_per_second": 1000 * shape[0] / median,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "macs": count_multiply_adds(model, images_BCHW[:1]),
    }


@contextlib.contextmanager
def _explain_memory(batch_size: int) -> Iterator[None]:
    """Say that a batch is too large, which torch says in words of its allocator."""
    try:
        yield
    except RuntimeError as error:
        if "memory" not in str(error) and "overflow" not in str(error):
            raise
        raise UserError(
            f"there is no memory for a batch of {batch_size:,}",
            where=str(error).splitlines()[0],
            fix="a smaller --batch",
        ) from error


def _time_runs(
    model: nn.Module, device: Device, images_BCHW: torch.Tensor, seconds: float
) -> list[float]:
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < MIN_RUNS or time.perf_counter() - started < seconds:
        before = time.perf_counter()
        with device.autocast():
            model(images_BCHW).cpu()  # waits for the device
        times.append(time.perf_counter() - before)
    return times


def count_multiply_adds(model: nn.Module, images_BCHW: torch.Tensor) -> int:
    """Multiply-adds of convolutions, matrix products and attention, by torch's counter.

    Attention is counted as the matrix products that it consists of: which of its fused kernels the
    counter knows differs between torch's versions.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one fused operation, which is not counted
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(images_BCHW)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2


@torch.inference_mode()
def time_in_turns(
    models: Sequence[nn.Module], device: Device, shape: tuple[int, ...], seconds: float
) -> list[float]:
    """Milliseconds of one batch of each model, asked in turns, so that their ratio is fair.

    The lower quartile: of a machine that others use, too, it is the time that was not waited.
    """
    images_BCHW = device.arrange(torch.zeros(shape, device=device.torch_device))
    times: list[list[float]] = [[] for _ in models]
    started = time.perf_counter()
    while len(times[0]) < MIN_RUNS or time.perf_counter() - started < seconds:
        for model, own in zip(models, times, strict=True):
            before = time.perf_counter()
            with device.autocast():
                model(images_BCHW).cpu()  # waits for the device
            own.append(time.perf_counter() - before)
    return [1000 * statistics.quantiles(own, n=4)[0] for own in times]
