"""The latency of a run's model in words: a table of settings, the best of them, and denormals."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.diagnosis.finding import counted
from expkit.metrics.mcnemar import LEVEL
from expkit.records.run.kept_latency import KeptDenormals, KeptLatency, TimedSetting
from expkit.reports.formatting import percent
from expkit.reports.tables import Table

LOWEST, MOST = "lowest latency", "most images/s"


def latency_screen(name: str, found: KeptLatency) -> str:
    """The figures in units that a reader compares."""
    batch, *shape = found.shape
    size = " x ".join(map(str, shape))
    lines = [
        f"{name}: images of {size}"
        if found.settings
        else f"{name}: {counted(batch, 'image')} of {size} at once",
        f"  device   {found.device}",
        f"  images   {found.images}",
    ]
    if found.settings:
        count = counted(len(found.settings) + len(found.failed), "setting")
        each = f", {found.seconds:g} s each, in turns" if found.seconds else ""
        lines += [f"  settings {count}{each}; times are milliseconds a batch", ""]
        lines += [f"    {line}" for line in settings_table(found).lines()]
        lines.append("")
    else:
        (one,) = found.timed
        lines += [
            f"  latency  median {one.median_ms:.2f} ms, 95 % within {one.p95_ms:.2f} ms, "
            f"99 % within {one.p99_ms:.2f} ms, worst {one.max_ms:.2f} ms ({one.num_runs} runs)",
            f"  speed    {one.samples_per_second:,.0f} images/s at the median",
        ]
    lines.append(
        f"  size     {found.parameters:,} parameters, {found.file_bytes / 1e6:.1f} MB on disk, "
        f"{found.macs / 1e6:,.1f} million multiply-adds an image"
    )
    lines += [f"  {line}" for line in denormal_lines(found.denormals)]
    return "\n".join(lines)


def settings_table(found: KeptLatency) -> Table:
    """A row a setting, the best ones marked, and last those that could not be measured."""
    marks = mark_best(found.settings)
    rows = [
        [
            f"{each.batch:,}",
            _threads(each.threads),
            *(f"{ms:.2f}" for ms in (each.median_ms, each.p95_ms, each.p99_ms)),
            f"{each.samples_per_second:,.0f}",
            str(each.num_runs),
            mark,
        ]
        for each, mark in zip(found.settings, marks, strict=True)
    ]
    rows += [
        [f"{each.batch:,}", _threads(each.threads), *["-"] * 5, f"failed: {each.reason}"]
        for each in found.failed
    ]
    return Table(["batch", "threads", "median", "95 %", "99 %", "images/s", "runs", ""], rows)


def _threads(count: int | None) -> str:
    return "-" if count is None else str(count)


def mark_best(settings: Sequence[TimedSetting]) -> list[str]:
    """Say which has the lowest latency and the most images/s, and which are not told apart."""
    if not settings:
        return []
    quickest = min(settings, key=lambda each: each.median_ms)
    widest = max(settings, key=lambda each: each.samples_per_second)
    return [
        "; ".join(
            label if each is best else f"{label} too, within the noise"
            for label, best, is_by_image in ((LOWEST, quickest, False), (MOST, widest, True))
            if each is best or not is_slower(each, best, by_image=is_by_image)
        )
        for each in settings
    ]


def is_slower(ours: TimedSetting, best: TimedSetting, *, by_image: bool) -> bool:
    """Tell whether more rounds than by chance were slower, by the sign test; else by the median."""
    parts = (ours.batch, best.batch) if by_image else (1, 1)
    a, b = (each.median_ms / part for each, part in zip((ours, best), parts, strict=True))
    if not ours.round_medians_ms or len(ours.round_medians_ms) != len(best.round_medians_ms):
        return a > b
    from scipy.stats import binomtest

    pairs = zip(ours.round_medians_ms, best.round_medians_ms, strict=True)
    gaps = [mine / parts[0] - theirs / parts[1] for mine, theirs in pairs]
    slower, differing = sum(gap > 0 for gap in gaps), sum(gap != 0 for gap in gaps)
    if not differing:
        return False
    return bool(slower > differing / 2 and binomtest(slower, differing).pvalue < LEVEL)


def denormal_lines(found: KeptDenormals | None) -> list[str]:
    """How many numbers are denormal, what flushing them gains, and how to."""
    if found is None:
        return []
    head, rest = "denormals", " " * 9
    if not found.weights and not found.activations and not found.is_faster:
        weights = f"{found.num_weights:,} weights"
        return [f"{head} none among {weights} and {found.num_activations:,} activations"]
    counts = [
        f"{count:,} of {total:,} {kind} ({percent(count / max(1, total))}, most in {where})"
        if count
        else f"none of {total:,} {kind}"
        for kind, count, total, where in (
            ("weights", found.weights, found.num_weights, found.weights_in),
            ("activations", found.activations, found.num_activations, found.activations_in),
        )
    ]
    times = f"{found.kept_ms:.2f} ms kept, {found.flushed_ms:.2f} ms flushed"
    if not found.is_faster:
        gain = f"{times}: flushing them gains nothing beyond the noise"
    else:
        gain = f"{times}: {found.kept_ms / max(found.flushed_ms, 1e-9):.2g} x as fast"
    lines = [
        f"{head} {counts[0]}",
        f"{rest} {counts[1]}",
        f"{rest} {counted(found.batch, 'image')}, 1 thread: {gain}",
    ]
    if not found.is_faster:
        return lines
    changed = found.largest_difference
    outputs = "not finite either way" if changed is None else f"other by {changed:.2g} at the most"
    here = (
        "flushed here, by device.flush_denormals=true"
        if found.flushes
        else "not flushed here: train with device.flush_denormals=true"
    )
    return [
        *lines,
        f"{rest} outputs are {'the same' if changed == 0 else outputs}; {here}",
        f"{rest} in a program of your own: torch.set_flush_denormal(True), or onnxruntime's",
        f'{rest} session option "session.set_denormal_as_zero" = "1"',
    ]
