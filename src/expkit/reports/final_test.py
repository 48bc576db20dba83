"""The figure of what was chosen, on the samples that no choice has seen: reported once."""

from __future__ import annotations

import statistics

from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.metrics.intervals import Interval
from expkit.metrics.names import Measure
from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.run.digests import recall_digest
from expkit.reports.run.summary import recall
from expkit.reports.sweep.groups import Group


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
    text = f"{name} {formatting.spread(metric, statistics.fmean(values), std)}"
    try:
        runs = [Run(row.run) for row in group.judged if row.run is not None]
        digests = [recall_digest(run) for run in runs]
        prints = {digest.fingerprints.get(split) for digest in digests}
        ends = _interval(runs, split, metric) if len(prints) == 1 else None
    except UserError:  # a damaged run is listed in the table
        return text
    text += "" if ends is None else f" (95 % interval {formatting.interval(metric, ends)})"
    num_samples = digests[0].num_samples.get(split, 0)
    if len(values) == 1:
        return f"{text}, {counted(num_samples, 'sample')}"
    if len(prints) > 1:
        return f"{text}, {group.unit}"
    return f"{text}: the same {num_samples} samples, judged by {len(values)} models"


def _interval(runs: list[Run], split: str, metric: str) -> Interval | None:
    """The ordinary one of a run alone; of several, the mean of both ends.

    The mean of figures of the same samples varies no more than these do on average.
    """
    found = [recall(run)["intervals"].get(split, {}).get(metric) for run in runs]
    if any(ends is None for ends in found):
        return None
    return statistics.fmean(low for low, _ in found), statistics.fmean(high for _, high in found)
