"""The plot of latency over batch sizes: a line a number of threads, also of one setting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from synthetic_runs import classes_run

from expkit.records.run.kept_latency import KeptLatency, TimedSetting, keep_latency
from expkit.records.run.reader import Run
from expkit.reports.plots import style
from expkit.reports.plots.latency import draw_latency


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would be saved."""
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        figures.append(figure)
        figure.canvas.draw()  # warnings are errors
        return path

    monkeypatch.setattr(style, "save", keep)
    return figures


def measured(tmp_path: Path, settings: list[tuple[int, int | None, float]]) -> Run:
    """A run with these batch sizes, threads and medians."""
    run = classes_run(tmp_path, ["clean", "pit"])
    timed = [
        TimedSetting(batch, threads, 10, ms, 2 * ms, 3 * ms, 4 * ms, 1000 * batch / ms)
        for batch, threads, ms in settings
    ]
    batch, threads, ms = settings[0]
    keep_latency(
        KeptLatency(
            device="cpu",
            shape=(batch, 3, 16, 16),
            threads=threads or 1,
            num_runs=10,
            median_ms=ms,
            p95_ms=2 * ms,
            p99_ms=3 * ms,
            max_ms=4 * ms,
            samples_per_second=1000 * batch / ms,
            parameters=1,
            macs=1,
            file_bytes=1,
            settings=timed if len(timed) > 1 else (),
        ),
        run.path,
    )
    return run


def test_a_line_for_each_number_of_threads(tmp_path: Path, drawn: list[Figure]) -> None:
    """By batch size, whatever the order in which they were asked for."""
    settings: list[tuple[int, int | None, float]]
    settings = [(8, 1, 4.0), (1, 1, 1.0), (8, 2, 2.0), (1, 2, 1.5)]
    (path,) = draw_latency(measured(tmp_path, settings), tmp_path / "plots")
    assert path.name == "latency.png"
    left, right = drawn[0].axes
    lines = {str(line.get_label()): line.get_xydata() for line in left.get_lines()}
    assert np.array_equal(lines["1 thread"], [[1, 1000], [8, 2000]])
    assert np.array_equal(lines["2 threads"], [[1, 1000 / 1.5], [8, 4000]])
    medians = {str(line.get_label()): line.get_xydata() for line in right.get_lines()}
    assert np.array_equal(medians["1 thread"], [[1, 1], [8, 4]])


def test_one_setting_of_a_gpu_is_a_point(tmp_path: Path, drawn: list[Figure]) -> None:
    """There is something to see, and no warning of an axis without a length."""
    assert draw_latency(measured(tmp_path, [(1, None, 0.25)]), tmp_path)
    left, _ = drawn[0].axes
    assert np.array_equal(left.get_lines()[0].get_xydata(), [[1, 4000]])
    low, high = left.get_xlim()
    assert low < 1 < high


def test_many_batch_sizes_do_not_write_over_each_other(tmp_path: Path, drawn: list[Figure]) -> None:
    """Of 64 no more have a number than find room."""
    draw_latency(measured(tmp_path, [(n, 1, float(n)) for n in range(1, 65)]), tmp_path)
    shown = [label for label in drawn[0].axes[0].get_xticklabels() if label.get_text()]
    assert len(shown) <= 10


def test_a_run_that_nobody_measured_has_no_plot(tmp_path: Path) -> None:
    """Its other plots are drawn as before."""
    assert draw_latency(classes_run(tmp_path, ["clean", "pit"]), tmp_path) == []
