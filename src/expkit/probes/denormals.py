"""Denormal numbers in a live model, and what a CPU pays for them.

They are those between zero and the smallest number that has all its digits, 1.2e-38 in fp32. Many
processors take a hundred times as long for one, unless they are told to take it for zero.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from expkit.probes.layers import first_tensor
from expkit.probes.machine import flushes_denormals
from expkit.training.device import Device
from expkit.training.latency import predict_there, torch_threads
from expkit.training.turns import Clock, Contender, time_in_turns

ROUNDS = 5
MAX_SECONDS = 1.0  # for each side
MIN_RATIO = 1.1  # a smaller gain is no reason to change anything
# the numbers of that width without a fraction, and the bits of the fraction; flushing leaves the
# float16 of a CPU alone
LAYOUTS = {
    torch.float32: (torch.int32, 23),
    torch.bfloat16: (torch.int16, 7),
    torch.float64: (torch.int64, 52),
}


@dataclass(frozen=True)
class Denormals:
    """The denormal numbers of one kind: how many, of how many, and where the most of them are."""

    count: int
    total: int
    where: str


@dataclass(frozen=True)
class FlushGain:
    """Milliseconds of a batch with denormals kept and flushed, and what flushing changes."""

    kept_ms: float
    flushed_ms: float
    is_faster: bool  # in every round, and by more than a tenth
    largest_difference: float  # of the outputs


def count_denormals(numbers: Tensor) -> int:
    """Count by bits: a processor that flushes takes them for zeros where it compares."""
    if numbers.dtype not in LAYOUTS:
        return 0
    whole, num_bits = LAYOUTS[numbers.dtype]
    bits = numbers.detach().view(whole) & torch.iinfo(whole).max  # without the sign
    return int(((bits > 0) & (bits < 1 << num_bits)).sum())


def find_in_weights(model: nn.Module) -> Denormals:
    """Count those of all parameters."""
    named = list(model.named_parameters())
    return _sum({name: (count_denormals(each), each.numel()) for name, each in named})


@torch.inference_mode()
def find_in_activations(model: nn.Module, device: Device, images_BCHW: Tensor) -> Denormals:
    """Count those that the layers put out for these images where nothing is flushed."""
    found: dict[str, tuple[int, int]] = {}

    def see(name: str, module: nn.Module, given: Any, output: Any) -> None:
        numbers = first_tensor(output)
        if numbers is not None:
            count, total = found.get(name, (0, 0))
            found[name] = (count + count_denormals(numbers), total + numbers.numel())

    handles = [
        leaf.register_forward_hook(partial(see, name))
        for name, leaf in model.named_modules()
        if next(leaf.children(), None) is None
    ]
    try:
        with flushing(False):
            predict_there(model, device, images_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    return _sum(found)


def _sum(found: dict[str, tuple[int, int]]) -> Denormals:
    count, total = (sum(each[i] for each in found.values()) for i in (0, 1))
    most = max(found, key=lambda name: found[name][0], default="")
    return Denormals(count, total, most if count else "")


@contextmanager
def flushing(is_on: bool) -> Iterator[bool]:
    """Flush denormals, or keep them, with one thread: others keep the manner they began with.

    Yields whether the processor can.
    """
    before = flushes_denormals()
    with torch_threads(1):
        try:
            yield torch.set_flush_denormal(is_on)
        finally:
            torch.set_flush_denormal(before)


@torch.inference_mode()
def measure_flushing(
    predict: Callable[[], Tensor], seconds: float, clock: Clock = time.perf_counter
) -> FlushGain | None:
    """Time a batch with denormals kept and flushed, in turns; None where a CPU cannot flush."""
    with flushing(True) as can_flush:
        if not can_flush:
            return None
        flushed = predict()
    with flushing(False):
        difference = float((predict().float() - flushed.float()).abs().max())
    sides = [Contender(predict, partial(flushing, is_on)) for is_on in (False, True)]
    times = time_in_turns(sides, min(seconds, MAX_SECONDS), rounds=ROUNDS, clock=clock)
    kept, gone = ([1000 * statistics.median(each) for each in own] for own in times)
    kept_ms, flushed_ms = statistics.median(kept), statistics.median(gone)
    is_faster = min(kept) > max(gone) and kept_ms > MIN_RATIO * flushed_ms
    return FlushGain(kept_ms, flushed_ms, is_faster, difference)
