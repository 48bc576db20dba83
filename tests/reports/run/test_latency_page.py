"""Measured settings in words: the best are marked, and what cannot be told apart is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from expkit.records.run.kept_latency import (
    FailedSetting,
    KeptDenormals,
    KeptLatency,
    TimedSetting,
)
from expkit.reports.run.latency_page import denormal_lines, latency_screen, mark_best

DENORMALS = KeptDenormals(
    weights=30,
    num_weights=60,
    weights_in="conv2.weight",
    activations=0,
    num_activations=500,
    activations_in="",
    batch=1,
    kept_ms=640.0,
    flushed_ms=20.0,
    is_faster=True,
    largest_difference=0.0,
    flushes=True,
)


def timed(batch: int, rounds: list[float], threads: int | None = 1) -> TimedSetting:
    median = sorted(rounds)[len(rounds) // 2]
    times = (median, 1.5 * median, 2 * median, 3 * median)
    return TimedSetting(batch, threads, 100, *times, 1000 * batch / median, rounds)


def kept(*settings: TimedSetting, failed: tuple[FailedSetting, ...] = ()) -> KeptLatency:
    first = settings[0]
    return KeptLatency(
        device="cpu",
        shape=(first.batch, 3, 16, 16),
        threads=first.threads or 2,
        num_runs=100,
        median_ms=first.median_ms,
        p95_ms=first.p95_ms,
        p99_ms=first.p99_ms,
        max_ms=first.max_ms,
        samples_per_second=first.samples_per_second,
        parameters=10,
        macs=20,
        file_bytes=30,
        seconds=5.0,
        images="24 of val",
        settings=settings if len(settings) > 1 else (),
        failed=failed,
    )


def test_the_lowest_latency_and_the_most_images_are_marked() -> None:
    """One image in 1 ms, eight in 4 ms: 1000 and 2000 images/s."""
    settings = [timed(1, [1.0] * 10), timed(2, [1.5] * 10), timed(8, [4.0] * 10)]
    assert mark_best(settings) == ["lowest latency", "", "most images/s"]


@pytest.mark.parametrize(
    ("num_slower", "mark"), [(8, "lowest latency too, within the noise"), (9, "")]
)
def test_what_is_slower_by_chance_is_not_told_apart(num_slower: int, mark: str) -> None:
    """Of ten rounds nine slower ones are p 0.02 by the sign test, eight are p 0.11."""
    best = timed(1, [1.0] * 10, threads=1)
    other = timed(1, [1.1] * num_slower + [0.9] * (10 - num_slower), threads=2)
    found = mark_best([best, other])
    assert found[0].startswith("lowest latency")
    assert (mark in found[1]) if mark else not found[1]


def test_one_setting_can_be_both() -> None:
    """And rounds that an older file lacks are not missed: the median decides."""
    settings = [replace(timed(1, [1.0] * 3), round_medians_ms=()), timed(1, [2.0] * 10, 2)]
    assert mark_best(settings) == ["lowest latency; most images/s", ""]


def test_a_table_has_a_row_a_setting_and_says_what_failed() -> None:
    """The seconds of each are stated; one that failed has a reason and no numbers."""
    failed = (FailedSetting(4096, 1, "there is no memory"),)
    text = latency_screen("a_run", kept(timed(1, [1.0]), timed(8, [4.0]), failed=failed))
    assert "3 settings, 5 s each, in turns" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("    ")]
    assert [row[:2] for row in rows[1:]] == [["1", "1"], ["8", "1"], ["4,096", "1"]]
    assert rows[2][2:7] == ["4.00", "6.00", "8.00", "2,000", "100"]
    assert "there is no memory" in text


def test_one_setting_has_no_table() -> None:
    """As it was before there were several."""
    text = latency_screen("a_run", kept(timed(2, [4.0])))
    assert text.startswith("a_run: 2 images of 3 x 16 x 16 at once")
    assert "median 4.00 ms, 95 % within 6.00 ms, 99 % within 8.00 ms, worst 12.00 ms" in text
    assert "500 images/s" in text


def test_denormals_are_counted_and_their_cost_and_remedy_said() -> None:
    """32 times the time, and what to do where this process does not flush them."""
    text = "\n".join(denormal_lines(DENORMALS))
    assert "30 of 60 weights (50.00 %, most in conv2.weight)" in text
    assert "none of 500 activations" in text
    assert "32 x as fast" in text
    assert "torch.set_flush_denormal(True)" in text
    kept_ones = "\n".join(denormal_lines(replace(DENORMALS, flushes=False)))
    assert "train with device.flush_denormals=true" in kept_ones
    assert "train with" not in text


def test_without_denormals_there_is_one_line_and_no_advice() -> None:
    """Of those that cost nothing the count is said, and no remedy."""
    none = replace(DENORMALS, weights=0, is_faster=False)
    assert denormal_lines(none) == ["denormals none among 60 weights and 500 activations"]
    cheap = denormal_lines(replace(DENORMALS, is_faster=False))
    assert "gains nothing beyond the noise" in cheap[-1]
    assert denormal_lines(None) == []
    hidden = replace(DENORMALS, weights=0)
    assert "none of 60 weights" in denormal_lines(hidden)[0]
    assert "32 x as fast" in denormal_lines(hidden)[2]
