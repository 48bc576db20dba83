"""The metric that a comparison judges by, and those beside it; one asked for is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from expkit.errors import UserError, nearest_of
from expkit.metrics.class_patterns import matching_classes
from expkit.metrics.classification import measure as measure_all
from expkit.metrics.classification import most_predicted
from expkit.metrics.names import CLASS_METRICS, METRICS, ON_DEMAND, Measure, main_metric
from expkit.metrics.predictions import ClassPredictions
from expkit.records.run.reader import Run
from expkit.reports.run.summary import recall
from expkit.reports.runs.rows import RunRow


def choose_metrics(rows: Sequence[RunRow], wanted: str | None) -> tuple[list[RunRow], list[str]]:
    """The metric to judge by and the others of its split; runs that lack one of a class get it."""
    known = dict.fromkeys(name for row in rows for name in _names(row))
    if wanted is None:
        plain = [name for name in known if "/" not in name]
        first = main_metric(plain)
        return list(rows), [first, *(name for name in plain if name != first)]
    measure = Measure.parse(wanted)
    wanted = measure.name
    is_of_classes = measure.metric in CLASS_METRICS and measure.class_name is not None
    is_on_demand = is_of_classes or measure.metric in ON_DEMAND["classification"]
    is_newer = measure.class_name is None and measure.metric in METRICS["classification"]
    if is_on_demand or (is_newer and any(row.figure(wanted) is None for row in rows)):
        rows = [_with_asked(row, measure) for row in rows]
    if all(row.figure(wanted) is None for row in rows):
        raise UserError(
            f"no run has a metric '{wanted}'",
            where=f"--metric {wanted}",
            nearest=nearest_of(wanted, known),
            allowed=f"{', '.join(name for name in known if '/' not in name)}, precision[CLASS], "
            f"recall[CLASS], f1[CLASS]; each also of one split: {', '.join(_splits(known))}",
        )
    start = f"{measure.split}/" if measure.split else ""
    others = [name for name in known if name.startswith(start) and name.count("/") == bool(start)]
    return list(rows), [wanted, *(name for name in others if name != wanted)]


def _names(row: RunRow) -> list[str]:
    """Without a split: of the judged one."""
    judged = row.metrics.get(row.judged_split, {})
    return [*judged, *(f"{split}/{name}" for split in row.metrics for name in judged)]


def _splits(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(f"{name.partition('/')[0]}/" for name in names if "/" in name))


def _with_asked(row: RunRow, measure: Measure) -> RunRow:
    """A metric of one class, or of the worst, stands in the summary alone; one newer than a run's
    summary is measured of its predictions."""
    split = measure.split_of(row.judged_split)
    classes, metrics = recall(row.run)["classes"], dict(row.metrics)
    for each in dict.fromkeys([split, *({"val"} & classes.keys())]):  # val chooses what is shown
        if measure.class_name is None:
            value = _of_all(row.run, each, measure.metric)
        else:
            value = _of_class(classes.get(each, ()), measure)
        metrics[each] = {**metrics.get(each, {}), measure.unsplit: value}
    return replace(row, metrics=metrics)


def _of_class(classes: Sequence[Mapping[str, Any]], measure: Measure) -> float | None:
    """The figure of a class; by a pattern, the lowest of its classes that have samples."""
    names = matching_classes(str(measure.class_name), [own["class"] for own in classes])
    found = [own for own in classes if own["class"] in names]
    if len(names) > 1:
        found = [own for own in found if own["count"] > 0]
    values = [own[measure.metric] for own in found]
    return None if None in values else min(values, default=None)


def _of_all(run: Run, split: str, metric: str) -> float | None:
    predictions = run.predictions.get(split)
    if not isinstance(predictions, ClassPredictions):
        return None
    if metric == "max_predicted_fraction":
        return most_predicted(predictions)[1] / len(predictions.targets)
    return measure_all(predictions).get(metric)
