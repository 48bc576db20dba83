"""The figure of what was chosen, on the samples that no choice has seen: reported once."""

from __future__ import annotations

import statistics

from expkit.diagnosis.finding import counted
from expkit.errors import UserError
from expkit.metrics.intervals import Interval
from expkit.metrics.names import Measure
from expkit.reports import formatting
from expkit.reports.run.summary import recall
from expkit.reports.runs.recipes import Recipe, mean_of, std_of


def judged_split(recipe: Recipe) -> str:
    """The split that the verdict of its runs is measured on."""
    return recipe.judged[0].judged_split


def figure_on_judged(recipe: Recipe, objective: str) -> str:
    """`test/accuracy 97.04 % (95 % interval 94.3 to 98.5 %), 270 samples`; empty without one."""
    split = judged_split(recipe)
    metric = Measure.parse(objective).unsplit
    name = f"{split}/{metric}"
    values = [value for row in recipe.judged if (value := row.figure(name)) is not None]
    if not values:
        return ""
    text = f"{name} {formatting.spread(metric, mean_of(values), std_of(values))}"
    try:
        runs = recipe.compared(recipe.label)
        shares_samples = not runs.has_own_samples(split)
        ends = _interval(runs, split, metric) if shares_samples else None
    except UserError:  # a damaged run is listed in the table
        return text
    text += "" if ends is None else f" (95 % interval {formatting.interval(metric, ends)})"
    num_samples = runs.first.num_samples.get(split, 0)
    if len(values) == 1:
        return f"{text}, {counted(num_samples, 'sample')}"
    if not shares_samples:
        return f"{text}, {recipe.unit}"
    return f"{text}: the same {num_samples} samples, judged by {len(values)} models"


def _interval(recipe: Recipe, split: str, metric: str) -> Interval | None:
    """The ordinary one of a run alone; of several, the mean of both ends.

    The mean of figures of the same samples varies no more than these do on average.
    """
    found = [recall(row.run)["intervals"].get(split, {}).get(metric) for row in recipe.draws]
    if any(ends is None for ends in found):
        return None
    return statistics.fmean(low for low, _ in found), statistics.fmean(high for _, high in found)
