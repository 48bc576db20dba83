"""The reliability diagram: accuracy beside confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from expkit.metrics.calibration import NUM_BINS, Calibration
from expkit.metrics.intervals import wilson
from expkit.metrics.predictions import ClassPredictions
from expkit.metrics.temperature import at_temperature
from expkit.records.run.kept_temperature import read_temperature
from expkit.records.run.reader import Run
from expkit.reports.formatting import samples_of
from expkit.reports.plots import style
from expkit.reports.run.temperature_fit import confirming_half


def draw_reliability(run: Run, folder: Path) -> list[Path]:
    """On the judged split; a bar on the diagonal is as right as it is sure."""
    predictions = run.predictions.get(run.dataset.judged_split)
    if not isinstance(predictions, ClassPredictions):
        return []
    calibration = Calibration.of(predictions)
    if calibration is None:
        return []
    figure = style.new_figure(8.5, 7.2)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    where = samples_of(predictions.split, len(predictions.targets))
    error = 100 * calibration.error
    title = f"{run.name}\ncalibration error (ECE) {error:.2f} points on {where}"
    figure.suptitle(style.wrapped(title, 8), fontsize=11)
    _draw_bins(upper, calibration)
    lower.bar(_middles(), calibration.counts, 100 / NUM_BINS, color=style.GREY, edgecolor="white")
    lower.set(xlabel="confidence in %", ylabel="samples", xlim=(0, 100))
    return [style.save(figure, folder / "reliability.png")]


def draw_temperature(run: Run, folder: Path) -> list[Path]:
    """Before and after the kept temperature, on the samples that did not fit it."""
    kept = read_temperature(run.path)
    before = None if kept is None else confirming_half(run, kept)
    if kept is None or before is None:
        return []
    halves = before, at_temperature(before, kept.temperature)
    drawn = [each for half in halves if (each := Calibration.of(half)) is not None]
    if len(drawn) < len(halves):
        return []
    figure = style.new_figure(11, 6.6)
    rows = figure.subplots(2, 2, sharex=True, sharey="row", gridspec_kw={"height_ratios": [3, 1]})
    titles = ("temperature 1", f"temperature {kept.temperature:.4g}")
    for column, (calibration, name) in enumerate(zip(drawn, titles, strict=True)):
        upper, lower = rows[0][column], rows[1][column]
        _draw_bins(upper, calibration)
        error = 100 * calibration.error
        upper.set_title(f"{name}: ECE {error:.2f} points", fontsize=11)
        lower.bar(
            _middles(), calibration.counts, 100 / NUM_BINS, color=style.GREY, edgecolor="white"
        )
        lower.set(xlabel="confidence in %", xlim=(0, 100))
    rows[0][0].get_legend().remove()
    rows[0][1].set_ylabel("")
    rows[1][0].set_ylabel("samples")
    title = f"{run.name}\n{kept.num_confirmed} samples of {kept.split} that did not fit it"
    figure.suptitle(style.wrapped(title, 11), fontsize=11)
    return [style.save(figure, folder / "calibration.png")]


def _middles() -> npt.NDArray[np.float64]:
    return (np.arange(NUM_BINS) + 0.5) * 100 / NUM_BINS


def _draw_bins(axes: Axes, calibration: Calibration) -> None:
    filled = np.flatnonzero(calibration.counts)
    counts = calibration.counts[filled]
    right = calibration.right_sums[filled]
    confidence = 100 * calibration.confidence_sums[filled] / counts
    accuracy = 100 * right / counts
    axes.bar(
        _middles()[filled],
        accuracy,
        100 / NUM_BINS,
        color=style.SKY,
        edgecolor="white",
        label="right",
    )
    axes.plot([0, 100], [0, 100], color=style.GREY, linestyle="--", label="as right as it is sure")
    ends = 100 * np.array([wilson(*pair) for pair in zip(right, counts, strict=True)])
    # the interval of a bin with none or all right stands on 0 or 1, give or take rounding
    whiskers = np.abs(ends.T - accuracy)
    axes.errorbar(
        confidence,
        accuracy,
        whiskers,
        fmt="o",
        markersize=4,
        color=style.BLUE,
        linewidth=1.2,
        label="mean of the bin,\n95 % interval",
        clip_on=False,  # a bin that is surely right, or never, lies on the frame
    )
    axes.set(ylabel="right in %", ylim=(0, 102))
    # beside the bins: any of them may be filled
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
