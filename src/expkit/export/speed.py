"""The time and the size of an exported file, beside the same model in torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import nn

from expkit.models.exported import ExportedModel
from expkit.models.runtimes import open_runtime
from expkit.records.exported import ExportedFolder
from expkit.training.turns import Clock, Contender, time_in_turns

SECONDS = 2.0  # that are measured


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call."""

    median_ms: float
    p95_ms: float
    p99_ms: float
    num_runs: int

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Latency:
        """The median and tails of the seconds of each call."""
        times_ms = [1000 * each for each in seconds]
        median, p95, p99 = np.quantile(times_ms, [0.5, 0.95, 0.99]).tolist()
        return cls(median, p95, p99, len(times_ms))


@dataclass(frozen=True)
class Speed:
    """One image, from its bytes to the outputs, by the file and by torch; and their sizes."""

    shape: Sequence[int]  # height, width, channels
    exported: Latency
    torch: Latency
    threads: int  # of each
    exported_bytes: int
    torch_bytes: int  # of the weights


def measure_speed(
    reference: nn.Module,
    exported: ExportedModel,
    image_shape: Sequence[int],
    folder: ExportedFolder,
) -> Speed:
    """Time both on one image of the size that the model was trained on, in turns.

    `reference` takes bytes, B x C x H x W; the file also resizes, here to the same size. It is
    opened again, by as many threads as torch has.
    """
    channels, height, width = image_shape
    threads = torch.get_num_threads()
    record = folder.record
    runtime = open_runtime(record.format, folder.model_file, tuple(record.outputs), threads)
    exported = ExportedModel(runtime, exported.padded_size, record.batch, record.outputs)
    images_BCHW = torch.full((1, channels, height, width), 127.0)
    tall, wide = exported.padded_size
    images_BHWC = np.full((1, tall, wide, channels), 127, np.uint8)
    calls: dict[str, Callable[[], object]] = {
        "exported": lambda: exported.run(images_BHWC),
        "torch": lambda: reference(images_BCHW),
    }
    with torch.inference_mode():
        times = time_calls(calls)
    return Speed(
        shape=[height, width, channels],
        exported=times["exported"],
        torch=times["torch"],
        threads=threads,
        exported_bytes=folder.num_bytes,
        torch_bytes=sum(each.nbytes for each in reference.state_dict().values()),
    )


def time_calls(
    calls: Mapping[str, Callable[[], object]],
    seconds: float = SECONDS,
    clock: Clock = time.perf_counter,
) -> dict[str, Latency]:
    """Time each call in turns, for so many seconds in all."""
    contenders = [Contender(call) for call in calls.values()]
    times = time_in_turns(contenders, seconds / len(calls), clock=clock)
    return {name: Latency.of(chain(*own)) for name, own in zip(calls, times, strict=True)}
