"""The charts of a page as plain data, which the page's script draws."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from expkit.metrics.calibration import NUM_BINS, Calibration
from expkit.metrics.intervals import wilson
from expkit.metrics.names import FRACTION
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.files import Record
from expkit.records.run.reader import Run
from expkit.records.run.schema import is_number
from expkit.reports.run.curve_lines import Level, accuracy_levels, loss_levels, train_label
from expkit.reports.run.summary import is_gate

MAX_POINTS = 1200  # of a line: more are not to be told apart
MAX_DOTS = 2000
MAX_PANELS = 8
FIRST = ("loss", "accuracy", "top5_accuracy")
HELD_OUT = {"val": "held out (val)", "pretrain": "pre-training"}

Point = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """One line, row of bars or cloud of dots; a point may have the ends of its interval, too."""

    name: str
    points: Sequence[Point]
    kind: Literal["line", "bar", "dots", "reference"] = "line"


@dataclass(frozen=True)
class Chart:
    """A chart under its title: axes, lines, levels across it and marks along it."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    levels: Sequence[Level] = ()
    marks: Sequence[tuple[float, str]] = ()
    is_log: bool = False
    is_percent: bool = False
    low: float | None = None  # of the vertical axis; by the values where None
    high: float | None = None
    ends: tuple[float, float] | None = None  # of the horizontal one

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "log": self.is_log,
            "percent": self.is_percent,
            "low": self.low,
            "high": self.high,
            "ends": self.ends,
            "lines": [
                {"name": each.name, "kind": each.kind, "points": each.points} for each in self.lines
            ],
            "levels": [{"value": _short(each.value), "label": each.label} for each in self.levels],
            "marks": list(self.marks),
        }


@dataclass(frozen=True)
class StageCharts:
    """The charts of one stage."""

    stage: str
    unit: str
    count: int
    is_gate: bool
    charts: Sequence[Chart] = field(default_factory=list)


def stage_charts(run: Run) -> list[StageCharts]:
    """Loss, accuracy and all else that a stage recorded, for each with more than one line."""
    found = []
    for stage in dict.fromkeys(record["stage"] for record in run.history):
        records = [record for record in run.history if record["stage"] == stage]
        if len(records) < 2:
            continue
        gate = is_gate(run, stage)
        unit = "step" if gate else "epoch"
        charts = _charts_of(run, stage, records, unit)
        found.append(StageCharts(stage, unit, len(records), gate, charts))
    return found


def _charts_of(run: Run, stage: str, records: Sequence[Record], unit: str) -> list[Chart]:
    keys = dict.fromkeys(key for record in records for key in record if "/" in key)
    metrics = dict.fromkeys([*FIRST, *(key.partition("/")[2] for key in keys)])
    best = next((each.best_epoch for each in run.stages if each.stage == stage), None)
    mark = "passed: step" if unit == "step" else "best epoch:"
    marks = [] if best is None else [(float(best), f"{mark} {best}")]
    charts = []
    for metric in metrics:
        lines = [
            Line(_line_name(run, stage, key), thinned(points))
            for key in keys
            if key.partition("/")[2] == metric and (points := points_of(records, key))
        ]
        if lines:
            charts.append(_chart(run, stage, metric, lines, unit, marks))
    if points := points_of(records, "lr"):
        charts.append(
            Chart("learning rate", unit, "learning rate", [Line("lr", thinned(points))], low=0)
        )
    return charts[:MAX_PANELS]


def _chart(
    run: Run,
    stage: str,
    metric: str,
    lines: Sequence[Line],
    unit: str,
    marks: Sequence[tuple[float, str]],
) -> Chart:
    if metric in FRACTION:
        levels = accuracy_levels(run, stage) if metric == "accuracy" else []
        title = metric.replace("_", " ")
        return Chart(title, unit, title, lines, levels, marks, is_percent=True, low=0, high=1)
    if metric.startswith("loss"):
        levels = loss_levels(run, stage) if metric == "loss" and "pre-" not in lines[0].name else []
        title = metric.replace("_", " ")
        return Chart(title, unit, title, lines, levels, marks, is_log=is_positive(lines))
    return Chart(metric.replace("_", " "), unit, metric, lines, (), marks)


def is_positive(lines: Iterable[Line]) -> bool:
    """Tell whether a logarithmic axis has a place for every point."""
    values = [point[1] for line in lines for point in line.points if point[1] is not None]
    return bool(values) and min(values) > 0


def _line_name(run: Run, stage: str, key: str) -> str:
    split, _, metric = key.partition("/")
    if split == "train":
        return train_label(run, stage, metric).replace(",\n", ", ")
    return HELD_OUT.get(split, split)


def points_of(records: Sequence[Record], key: str) -> list[Point]:
    """Each epoch's number and what it recorded under a key."""
    return [(each["epoch"], _short(each[key])) for each in records if is_number(each.get(key))]


def thinned(points: Sequence[Point]) -> Sequence[Point]:
    """At most so many at equal distances, the first and the last among them."""
    if len(points) <= MAX_POINTS:
        return points
    last = len(points) - 1
    return [points[round(i * last / (MAX_POINTS - 1))] for i in range(MAX_POINTS)]


def calibration_chart(predictions: ClassPredictions) -> Chart | None:
    """The fraction right in each bin of confidence, with its interval."""
    found = Calibration.of(predictions)
    if found is None:
        return None
    bars, means = [], []
    for number in range(NUM_BINS):
        count, right = found.counts[number], found.right_sums[number]
        if count == 0:
            continue
        ends = wilson(right, count)
        assert ends is not None, "the bin holds samples"
        fraction = float(right / count)
        bars.append(((number + 0.5) / NUM_BINS, _short(fraction), 0, 0, int(count)))
        confidence = float(found.confidence_sums[number] / count)
        means.append((_short(confidence), _short(fraction), *map(_short, ends), int(count)))
    lines = [
        Line("right", bars, "bar"),
        Line("mean of the bin, 95 % interval", means, "dots"),
        Line("as right as it is sure", [(0, 0), (1, 1)], "reference"),
    ]
    title = f"calibration error (ECE) {100 * found.error:.2f} points"
    return Chart(
        title, "confidence", "right", lines, is_percent=True, low=0, high=1, ends=(0.0, 1.0)
    )


def value_charts(predictions: ValuePredictions) -> list[Chart]:
    """True and predicted values of each target."""
    count = len(predictions.targets)
    chosen = range(0, count, -(-count // MAX_DOTS) or 1)
    charts = []
    for place, name in enumerate(predictions.target_names):
        true, said = predictions.targets[:, place], predictions.predictions[:, place]
        dots = [(_short(float(true[i])), _short(float(said[i]))) for i in chosen]
        ends = float(true.min()), float(true.max())
        lines = [
            Line("samples", dots, "dots"),
            Line("exact", [(end, end) for end in ends], "reference"),
        ]
        charts.append(Chart(name, f"true {name}", f"predicted {name}", lines))
    return charts


def _short(value: float) -> float | None:
    """Five digits, as no screen shows more; None where it is no number."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
