"""Timing whatever predicts, and counting what a model multiplies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import torch
from torch import nn

from expkit.errors import UserError
from expkit.models.scan_line import ScanLineTransformer
from expkit.training.device import Device
from expkit.training.latency import (
    Setting,
    Subject,
    Timing,
    count_multiply_adds,
    measure_latency,
    subject_of,
)

CPU = Device(torch.device("cpu"), "fp32", channels_last=True, compile=False, reason="")


class HandMade:
    """A runtime that is not torch's: lists of bytes in, and a clock that it moves itself."""

    def __init__(self) -> None:
        self.now, self.threads, self.most = 0.0, 4, 64
        self.seen: list[tuple[int, int]] = []

    def clock(self) -> float:
        return self.now

    def predict(self, batch: list[bytes]) -> None:
        self.seen.append((len(batch), self.threads))
        self.now += (0.010 + 0.002 * len(batch)) / self.threads

    def batch_of(self, count: int) -> list[bytes]:
        if count > self.most:
            raise MemoryError
        return [b"image"] * count

    @contextmanager
    def with_threads(self, count: int | None) -> Iterator[None]:
        before, self.threads = self.threads, count or self.threads
        yield
        self.threads = before

    @property
    def subject(self) -> Subject:
        return Subject(self.predict, self.batch_of, self.with_threads)


def test_any_callable_is_timed_at_each_setting() -> None:
    """10 ms and 2 ms an image, over the threads: known to the last digit, in the order asked."""
    runtime = HandMade()
    settings = [Setting(batch, threads) for threads in (1, 2) for batch in (1, 10)]
    found = measure_latency(runtime.subject, settings, 0.5, runtime.clock)
    medians = []
    for timing in found:
        assert isinstance(timing, Timing)
        figures = timing.figures()
        medians.append(figures["median_ms"])
        assert figures["max_ms"] == pytest.approx(figures["median_ms"])
        assert len(figures["round_medians_ms"]) == 10
        expected = 1000 * timing.setting.batch_size / figures["median_ms"]
        assert figures["samples_per_second"] == pytest.approx(expected)
    assert [each.setting for each in found if isinstance(each, Timing)] == settings
    assert medians == pytest.approx([12, 30, 6, 15])
    assert runtime.threads == 4  # as before


def test_settings_take_turns() -> None:
    """After warm-up none has all its calls before another has its first."""
    runtime = HandMade()
    settings = [Setting(1, 1), Setting(2, 1)]
    measure_latency(runtime.subject, settings, 1.0, runtime.clock)
    sizes = [size for size, _ in runtime.seen]
    changes = sum(a != b for a, b in pairwise(sizes))
    assert changes == 2 + 10  # after each warm-up, and in the middle of each round


def test_a_setting_without_memory_leaves_the_others() -> None:
    """In its place stands the reason."""
    runtime = HandMade()
    settings = [Setting(1, 1), Setting(65, 1), Setting(2, 1)]
    first, failed, last = measure_latency(runtime.subject, settings, 0.1, runtime.clock)
    assert isinstance(first, Timing)
    assert isinstance(last, Timing)
    assert isinstance(failed, UserError)
    assert "no memory for a batch of 65" in failed.what


def test_another_error_is_not_taken_for_memory() -> None:
    """A fault in the model is no matter of the batch."""

    def fail(batch: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        measure_latency(Subject(fail, range), [Setting(1)], 0.1)


def test_tails_by_hand() -> None:
    """1 to 100 ms: the median lies between the 50th and the 51st."""
    rounds = [[each / 1000 for each in range(start, start + 10)] for start in range(1, 101, 10)]
    figures = Timing(Setting(10), rounds).figures()
    assert figures["num_runs"] == 100
    assert figures["median_ms"] == pytest.approx(50.5)
    assert figures["p95_ms"] == pytest.approx(95.05)
    assert figures["p99_ms"] == pytest.approx(99.01)
    assert figures["samples_per_second"] == pytest.approx(10_000 / 50.5)
    assert figures["round_medians_ms"] == pytest.approx([5.5 + 10 * each for each in range(10)])


class Threads(nn.Module):
    """Notes how many threads torch has while it is asked, and how the images lie."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, int, bool]] = set()

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        is_last = images_BCHW.is_contiguous(memory_format=torch.channels_last)
        self.seen.add((len(images_BCHW), torch.get_num_threads(), is_last))
        return images_BCHW.mean((1, 2, 3))


def test_torchs_threads_are_set_for_a_setting_and_restored() -> None:
    """Also the batch and its layout are what was asked for."""
    before = torch.get_num_threads()
    model = Threads()
    subject = subject_of(model, CPU, lambda count: torch.rand(count, 3, 4, 5))
    moments = iter(range(100_000))
    settings = [Setting(1, before + 1), Setting(2, before + 2), Setting(3)]
    measure_latency(subject, settings, 3.0, lambda: float(next(moments)))
    assert model.seen == {(1, before + 1, True), (2, before + 2, True), (3, before, True)}
    assert torch.get_num_threads() == before


def test_multiply_adds_of_a_layer_by_hand() -> None:
    """A 3 x 3 convolution from 2 to 5 channels on 4 x 4 places."""
    model = nn.Conv2d(2, 5, 3, padding=1, bias=False)
    with torch.inference_mode():
        assert count_multiply_adds(model, torch.zeros(1, 2, 4, 4)) == 4 * 4 * 9 * 2 * 5


def test_multiply_adds_of_attention_are_counted_too() -> None:
    """torch answers a transformer in one fused operation, which its counter does not see."""
    model = ScanLineTransformer(
        layers=1, width=8, heads=2, feed_forward=16, image_shape=(1, 3, 5), num_outputs=2
    ).eval()
    tokens, width = 4, 8  # three lines and the class token
    projections = tokens * width * (3 * width + width)
    feed_forward = 2 * tokens * width * 16
    attention = 2 * tokens * tokens * width
    embedding = 3 * 5 * width
    with torch.inference_mode():
        counted = count_multiply_adds(model, torch.zeros(1, 1, 3, 5))
    assert counted == projections + feed_forward + attention + embedding + width * 2
