"""The latency of a restored model on images that its run kept, at several settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor

from expkit.data.store.memory_limits import memory_limited
from expkit.errors import UserError
from expkit.probes.denormals import find_in_activations, find_in_weights, measure_flushing
from expkit.probes.machine import flushes_denormals
from expkit.records.run.kept_latency import (
    FailedSetting,
    KeptDenormals,
    KeptLatency,
    TimedSetting,
)
from expkit.records.run.reader import Run
from expkit.runner.restoring import Restored
from expkit.training.latency import (
    Setting,
    Subject,
    Timing,
    count_multiply_adds,
    measure_latency,
    predict_there,
    subject_of,
)

NUM_NOISE = 16


def settings_of(batches: Sequence[int], threads: Sequence[int], kind: str) -> list[Setting]:
    """Every combination, by threads; a GPU has none, and a CPU torch's own without any."""
    own: Sequence[int | None] = threads or [torch.get_num_threads()]
    if kind != "cpu":
        own = [None]
    return [Setting(batch, each) for each in own for batch in batches]


def measure_run(restored: Restored, settings: Sequence[Setting], seconds: float) -> KeptLatency:
    """Time a restored model at each setting, and look for denormals; refused where all fail."""
    images_NHWC, named = find_images(restored.run)

    def batch_of(count: int) -> Tensor:
        times = -(-count // len(images_NHWC))
        images = images_NHWC.repeat(times, 1, 1, 1)[:count].to(restored.device.torch_device)
        return restored.normalizer(images).permute(0, 3, 1, 2)

    subject = subject_of(restored.model, restored.device, batch_of)
    timed, failed = measure_settings(restored, subject, settings, seconds)
    first = timed[0]
    with torch.inference_mode():
        macs = count_multiply_adds(restored.model, subject.batch_of(1))
    return KeptLatency(
        device=restored.device.reason,
        shape=(first.batch, *restored.run.dataset.image_shape),
        threads=first.threads or torch.get_num_threads(),
        num_runs=first.num_runs,
        median_ms=first.median_ms,
        p95_ms=first.p95_ms,
        p99_ms=first.p99_ms,
        max_ms=first.max_ms,
        samples_per_second=first.samples_per_second,
        parameters=sum(each.numel() for each in restored.model.parameters()),
        macs=macs,
        file_bytes=restored.run.weights.stat().st_size,
        seconds=seconds,
        images=named,
        denormals=find_denormals(restored, subject, len(images_NHWC), seconds),
        settings=timed if len(settings) > 1 else (),
        failed=failed,
    )


def measure_settings(
    restored: Restored, subject: Subject, settings: Sequence[Setting], seconds: float
) -> tuple[list[TimedSetting], list[FailedSetting]]:
    """Time the settings as records; those that there is no memory for are told apart."""
    is_cpu = restored.device.torch_device.type == "cpu"
    most = max(setting.threads or 1 for setting in settings)
    with memory_limited(most) if is_cpu else nullcontext():
        found = measure_latency(subject, settings, seconds)
    timed = [
        TimedSetting(each.setting.batch_size, each.setting.threads, **each.figures())
        for each in found
        if isinstance(each, Timing)
    ]
    failed = [
        FailedSetting(setting.batch_size, setting.threads, each.what)
        for setting, each in zip(settings, found, strict=True)
        if isinstance(each, UserError)
    ]
    if not timed:
        raise next(each for each in found if isinstance(each, UserError))
    return timed, failed


def find_images(run: Run) -> tuple[Tensor, str]:
    """Return images that the run kept, as bytes N x H x W x C, and which they are.

    Noise would hide what real images do: activations that rest, or that are next to nothing.
    """
    judged = run.dataset.judged_split
    channels, height, width = run.dataset.image_shape
    kept, names = [], []
    for name, key, split in (
        (f"wrong_{judged}", "images", judged),
        ("augmented", "stored", "train"),
    ):
        images = (run.samples(name) or {}).get(key)
        if images is None or images.dtype != np.uint8 or not len(images):
            continue
        if images.shape[1:] == (height, width, channels):
            kept.append(torch.from_numpy(images))
            names.append(f"{len(images)} of {split}")
    if kept:
        return torch.cat(kept), f"{' and '.join(names)}, which the run kept"
    generator = torch.Generator().manual_seed(0)
    shape = (NUM_NOISE, height, width, channels)
    noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return noise, "random noise, as the run kept no images"


def find_denormals(
    restored: Restored, subject: Subject, num_images: int, seconds: float
) -> KeptDenormals | None:
    """Count denormals, and time one image with and without them; None but on a CPU."""
    if restored.device.torch_device.type != "cpu":
        return None
    model, device = restored.model, restored.device
    gain = measure_flushing(partial(predict_there, model, device, subject.batch_of(1)), seconds)
    if gain is None:
        return None
    weights = find_in_weights(model)
    activations = find_in_activations(model, device, subject.batch_of(num_images))
    is_known = math.isfinite(gain.largest_difference)
    return KeptDenormals(
        weights=weights.count,
        num_weights=weights.total,
        weights_in=weights.where,
        activations=activations.count,
        num_activations=activations.total,
        activations_in=activations.where,
        batch=1,
        kept_ms=gain.kept_ms,
        flushed_ms=gain.flushed_ms,
        is_faster=gain.is_faster,
        largest_difference=gain.largest_difference if is_known else None,
        flushes=flushes_denormals(),
    )
