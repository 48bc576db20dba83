"""The latency of whatever predicts: the time for one batch after warm-up."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from expkit.errors import UserError
from expkit.training.device import Device
from expkit.training.turns import Clock, Contender, time_in_turns

WARM_UP_SECONDS = 1.0
MIN_WARM_UPS = 2
# of an allocator, of torch's count of bytes, of C++, and of oneDNN
NO_MEMORY = ("memory", "overflow", "bad_alloc", "create a primitive", "execute a primitive")


@dataclass(frozen=True)
class Setting:
    """A batch size, and how many CPU threads; None leaves them as they are, as for a GPU."""

    batch_size: int
    threads: int | None = None


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Compute with so many of torch's threads, and then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Subject:
    """What is timed: `predict` takes a batch and returns once its outputs are there.

    It need not be torch's: `batch_of` makes a batch of so many images as `predict` takes them, and
    `threads` sets the number of threads for as long as it is open.
    """

    predict: Callable[[Any], object]
    batch_of: Callable[[int], Any]
    threads: Callable[[int | None], AbstractContextManager[object]] = torch_threads


@dataclass(frozen=True)
class Timing:
    """The seconds of each call at a setting, by round."""

    setting: Setting
    rounds: Sequence[Sequence[float]]

    def figures(self) -> dict[str, Any]:
        """Return milliseconds of one batch: median and tails, and the median of each round."""
        times_ms = 1000 * np.concatenate([np.asarray(each) for each in self.rounds])
        median, p95, p99 = np.quantile(times_ms, [0.5, 0.95, 0.99]).tolist()
        return {
            "num_runs": len(times_ms),
            "median_ms": median,
            "p95_ms": p95,
            "p99_ms": p99,
            "max_ms": float(times_ms.max()),
            "samples_per_second": 1000 * self.setting.batch_size / median,
            "round_medians_ms": [1000 * statistics.median(each) for each in self.rounds],
        }


@torch.inference_mode()
def measure_latency(
    subject: Subject,
    settings: Sequence[Setting],
    seconds: float,
    clock: Clock = time.perf_counter,
) -> list[Timing | UserError]:
    """Time a batch at each setting in turns, `seconds` each; or say why one cannot be timed."""
    batches: dict[int, Any] = {}
    found: dict[Setting, Timing | UserError] = {}
    contenders: dict[Setting, Contender] = {}
    for setting in settings:
        try:
            with explain_memory(setting.batch_size), subject.threads(setting.threads):
                if setting.batch_size not in batches:
                    batches[setting.batch_size] = subject.batch_of(setting.batch_size)
                call = partial(subject.predict, batches[setting.batch_size])
                _warm_up(call, clock)
        except UserError as error:
            batches.pop(setting.batch_size, None)
            found[setting] = error
        else:
            within = partial(subject.threads, setting.threads)
            contenders[setting] = Contender(call, within)
    times = time_in_turns(list(contenders.values()), seconds, clock=clock)
    found |= {key: Timing(key, own) for key, own in zip(contenders, times, strict=True)}
    return [found[setting] for setting in settings]


def _warm_up(call: Callable[[], object], clock: Clock) -> None:
    started, count = clock(), 0
    while count < MIN_WARM_UPS or clock() - started < WARM_UP_SECONDS:
        call()
        count += 1


@contextlib.contextmanager
def explain_memory(batch_size: int) -> Iterator[None]:
    """Say that a batch is too large, which torch says in words of its allocator."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        is_of_memory = isinstance(error, MemoryError) or any(
            word in str(error) for word in NO_MEMORY
        )
        if not is_of_memory:
            raise
        raise UserError(
            f"there is no memory for a batch of {batch_size:,}",
            where=(str(error).splitlines() or [""])[0],
            fix="a smaller --batch",
        ) from error


def subject_of(model: nn.Module, device: Device, batch_of: Callable[[int], Tensor]) -> Subject:
    """A model on its device, which is given prepared images."""

    def prepare(count: int) -> Tensor:
        images_BCHW = device.arrange(batch_of(count))
        if device.channels_last:
            images_BCHW = images_BCHW.contiguous(memory_format=torch.channels_last)
        return images_BCHW

    has_threads = device.torch_device.type == "cpu"
    return Subject(
        partial(predict_there, model, device),
        prepare,
        torch_threads if has_threads else lambda _: nullcontext(),
    )


def predict_there(model: nn.Module, device: Device, images_BCHW: Tensor) -> Tensor:
    """Return outputs on the CPU, which waits for the device."""
    with device.autocast():
        outputs: Tensor = model(images_BCHW).cpu()
    return outputs


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
def time_models(
    models: Sequence[nn.Module], device: Device, images_BCHW: Tensor, seconds: float
) -> list[float]:
    """Milliseconds of one batch of each model, asked in turns, so that their ratio is fair.

    The lower quartile: of a machine that others use, too, it is the time that was not waited.
    """
    batch = device.arrange(images_BCHW)
    contenders = [Contender(partial(predict_there, model, device, batch)) for model in models]
    times = time_in_turns(contenders, seconds / len(models))
    return [1000 * float(np.quantile(np.concatenate(own), 0.25)) for own in times]
