"""The latency of a run's model over batch sizes: images/s and the median, a line a thread count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from expkit.diagnosis.finding import counted
from expkit.records.run.kept_latency import KeptLatency, TimedSetting, read_latency
from expkit.records.run.reader import Run
from expkit.reports.plots import style

MARKERS = ("o", "s", "D", "^", "v", "P", "X")
MAX_TICKS = 10


def draw_latency(run: Run, folder: Path) -> list[Path]:
    """Where `expkit latency` has measured the run, at one setting or at several."""
    found = read_latency(run.path)
    if found is None:
        return []
    figure = style.new_figure(9.5, 4.4)
    left, right = figure.subplots(1, 2)
    lines = lines_of(found.timed)
    looks = zip(style.LINES * len(lines), MARKERS * len(lines), lines.items(), strict=False)
    for color, marker, (threads, line) in looks:
        batches = [each.batch for each in line]
        label = "on the GPU" if threads is None else counted(threads, "thread")
        look = {"color": color, "marker": marker, "markersize": 5, "label": label}
        left.plot(batches, [each.samples_per_second for each in line], **look)
        right.plot(batches, [each.median_ms for each in line], **look)
        for each in line:
            right.vlines(each.batch, each.median_ms, each.p95_ms, color=color, linewidth=1)
            right.plot(each.batch, each.p95_ms, color=color, marker="_", markersize=6)
    highest = max(each.samples_per_second for each in found.timed)
    left.set(ylabel="images/s at the median", ylim=(0, 1.08 * highest))
    right.set(ylabel="ms a batch: median, line up to 95 %", yscale="log")
    style.plain_log_ticks(right)
    for axes in (left, right):
        _arrange(axes, sorted({each.batch for each in found.timed}))
    if len(lines) > 1 or None not in lines:
        right.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    figure.suptitle(style.wrapped(f"{run.name}\n{_head(found)}", 9), fontsize=11)
    return [style.save(figure, folder / "latency.png")]


def lines_of(timed: Sequence[TimedSetting]) -> dict[int | None, list[TimedSetting]]:
    """The settings of each number of threads, by batch size."""
    lines: dict[int | None, list[TimedSetting]] = {}
    for each in sorted(timed, key=lambda each: (each.threads or 0, each.batch)):
        lines.setdefault(each.threads, []).append(each)
    return lines


def _head(found: KeptLatency) -> str:
    failed = ", ".join(dict.fromkeys(f"{each.batch:,}" for each in found.failed))
    beside = f"; not measured: batches of {failed}" if failed else ""
    size = " x ".join(map(str, found.shape[1:]))
    return f"latency for images of {size} on {found.device}{beside}"


def _arrange(axes: Axes, batches: Sequence[int]) -> None:
    """Batch sizes by their logarithm, a few each with its own tick."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(batches[0] / 1.4, batches[-1] * 1.4)
    few = len(batches) <= MAX_TICKS
    axes.xaxis.set_major_locator(FixedLocator(list(batches)) if few else LogLocator(base=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("images at once")
    axes.grid(visible=True)
