"""The figure of what was chosen, on the samples that no choice has seen: reported once."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from expkit.errors import UserError
from expkit.records.measures import Measure
from expkit.records.run import Run
from expkit.reports import wording
from expkit.reports.intervals import Interval, percentiles
from expkit.reports.measured import Measured
from expkit.reports.resampling import resampled
from expkit.reports.sweep_groups import Group

if TYPE_CHECKING:
    from expkit.records.predictions import Predictions


def judged_split(group: Group) -> str:
    """The split that the verdict of its runs is measured on."""
    return group.judged[0].judged_split


def figure_on_judged(group: Group, objective: str) -> str:
    """`test/accuracy 97.04 % (95 % interval 94.3 to 98.5 %), 270 samples`; empty without one."""
    split = judged_split(group)
    metric = objective.removeprefix(f"{Measure.parse(objective).split}/")
    name = f"{split}/{metric}"
    values = [value for row in group.judged if (value := row.metrics.get(name)) is not None]
    if not values:
        return ""
    std = statistics.stdev(values) if len(values) > 1 else None
    told = f"{name} {wording.spread(metric, statistics.fmean(values), std)}"
    try:
        answers, are_same = _answers(group, split)
    except UserError:  # a damaged run is told of in the table
        return told
    ends = wording.interval(metric, _interval(answers, metric)) if are_same else "-"
    told += f" (95 % interval {ends})" if ends != "-" else ""
    if len(values) == 1:
        return f"{told}, {len(answers[0].samples)} samples" if answers else told
    if not are_same:
        return f"{told}, {group.unit}"
    return f"{told}: the same {len(answers[0].samples)} samples, judged by {len(values)} models"


def _answers(group: Group, split: str) -> tuple[list[Predictions], bool]:
    """The predictions of each run, and whether all are of the same samples."""
    runs = [Run(row.run) for row in group.judged if row.run is not None]
    if any(not (run.path / "predictions.csv").exists() for run in runs):  # somebody made room
        return [], False
    found = [run.predictions[split] for run in runs if split in run.predictions]
    first = found[0].samples if found else []
    are_all = bool(found) and len(found) == len(runs)
    return found, are_all and all(list(each.samples) == list(first) for each in found)


def _interval(answers: Sequence[Predictions], metric: str) -> Interval | None:
    """The ordinary one of a run alone; of several, of their mean under the same resamples."""
    if len(answers) == 1:
        return Measured.of(answers[0]).look_up(metric).interval
    drawn = [resampled(each, [metric]).get(metric) for each in answers]
    known = [each for each in drawn if each is not None]
    if len(known) < len(answers):
        return None
    return percentiles(sum(known[1:], start=known[0]) / len(known))
