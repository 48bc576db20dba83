"""The tables of a comparison, cell by cell: the screen, the page and the CSV share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expkit.config.stage_parts import OWN_PARTS
from expkit.metrics.names import Measure
from expkit.metrics.p_values import p_value
from expkit.records.seed_groups import differing_keys
from expkit.reports import formatting, markdown
from expkit.reports.compare.comparison import Compared, Comparison
from expkit.reports.compare.filter import NOTHING, setting, value_of
from expkit.reports.compare.verdicts import corrected, difference_shown, methods_of
from expkit.reports.run.run_screen import MAIN_METRICS
from expkit.reports.runs.recipes import Recipe, settings_of
from expkit.reports.runs.settings import SEED, words_of
from expkit.reports.tables import Table


def shown_groups(comparison: Comparison) -> list[Recipe]:
    """The baseline first."""
    return [comparison.baseline, *(row.group for row in comparison.rows)]


def settings_table(comparison: Comparison) -> Table:
    """A column a setting that differs among those shown; a row a recipe."""
    order = differing_settings(comparison)
    rows = [
        [group.label, *(markdown.without_places(setting(order[key], group.label)) for key in order)]
        for group in shown_groups(comparison)
    ]
    return Table(["", *order], rows)


def differing_settings(comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Each setting that differs among those shown, by their labels; what one lacks is left out.

    First the parts that were chosen by name, then what was asked for by a word, then the rest.
    """
    groups = shown_groups(comparison)
    plain = [settings_of(group.first) for group in groups]
    keys = differing_keys(plain)
    parts = [part for part in dict.fromkeys(map(_part_of, keys)) if "." in part or part not in keys]
    settings = [
        {**each, SEED: group.first.seed} | {part: value_of(group.first, part) for part in parts}
        for group, each in zip(groups, plain, strict=True)
    ]
    named = [key for key in differing_keys(settings) if key in parts or (key == SEED and not keys)]
    asked = {key for group in groups for key in words_of(group.first.overrides)}
    order = dict.fromkeys([*named, *(key for key in keys if key in asked), *keys])
    labelled = [(group.label, each) for group, each in zip(groups, settings, strict=True)]
    return {
        key: {label: each[key] for label, each in labelled if each.get(key, NOTHING) is not NOTHING}
        for key in order
    }


def _part_of(key: str) -> str:
    """What was chosen by a name: a part of a stage's own stands by the stage's key."""
    words = key.split(".")
    return ".".join(words[:3]) if words[2:3] and words[2] in OWN_PARTS else words[0]


def main_metrics(comparison: Comparison) -> list[str]:
    """The one that is judged by, and those that a screen has room for."""
    first, *others = comparison.metrics
    return [first, *(name for name in others if Measure.parse(name).metric in MAIN_METRICS)]


def figures_table(comparison: Comparison, metrics: Sequence[str]) -> Table:
    """A row a metric and recipe: the value, its std over seeds, the difference's interval, and p.

    Where several are compared, interval and p are both after Holm's correction.
    """
    label = comparison.baseline.label
    rows = []
    for metric in metrics:
        rows.append([metric, label, _value(comparison.baseline, metric), "", ""])
        for row in comparison.rows:
            found = row.differences.get(metric)
            cells = ("", "")
            if found is not None:
                cells = difference_shown(metric, found), p_value(found.p).removeprefix("= ")
            rows.append(["", row.group.label, _value(row.group, metric), *cells])
    difference = f"difference to {label} (95 % interval)"
    return Table(["metric", "run", "value", difference, "p"], rows)


def methods(comparison: Comparison, metrics: Sequence[str]) -> list[str]:
    """Sentences on how the p and the intervals of these metrics came about."""
    found = [
        (metric, row.differences[metric])
        for metric in metrics
        for row in comparison.rows
        if metric in row.differences
    ]
    holm = corrected(comparison.num_tests, f" with {comparison.baseline.label}")
    return [*methods_of(found), *([holm] if holm else [])]


def _value(group: Recipe, metric: str) -> str:
    mean, std = group.mean_of(metric), group.std_of(metric)
    return formatting.spread(metric, mean, std, "not measured")


def judged_on(comparison: Comparison) -> str:
    """On which samples the baseline was measured, and what ± means where there is one."""
    first = comparison.baseline.first
    split = Measure.parse(comparison.metric).split_of(first.judged_split)
    where = f"On {formatting.samples_of(split, first.num_samples.get(split, 0))}"
    if any(group.has_own_samples(split) for group in shown_groups(comparison)):
        where = f"{where}, other ones for each run"
    several = [group for group in shown_groups(comparison) if len(group.draws) > 1]
    over = " or ".join(dict.fromkeys(group.unit_of_draws for group in several))
    return f"{where}, mean ± standard deviation over {over}" if several else where


def hidden(comparison: Comparison) -> str:
    """Say how many are passed over, and in which metric those that are shown are the best."""
    measure = Measure.parse(comparison.chosen_by)
    metric = f"{measure.split_of(comparison.baseline.first.judged_split)}/{measure.unsplit}"
    are = "is" if comparison.num_hidden == 1 else "are"
    return (
        f"{comparison.num_hidden} of {len(comparison.groups)} {are} not shown, and not tested: "
        f"these are the best in {metric}, and the baseline"
    )


def answer(row: Compared) -> str:
    """The verdict in words, or why there is none."""
    return f"not compared: {why_not(row)}" if row.verdict is None else row.verdict.text


def why_not(row: Compared) -> str:
    """The reason why there is no verdict."""
    forbidding = next((each.text for each in row.objections if each.forbids), None)
    return forbidding or row.untested


def doubts(comparison: Comparison) -> dict[str, list[str]]:
    """Objections that forbid nothing, with the labels of those that each is about."""
    found: dict[str, list[str]] = {}
    for row in comparison.rows:
        for objection in row.objections:
            if not objection.forbids:
                found.setdefault(objection.text, []).append(row.group.label)
    return found


def comparison_csv(comparison: Comparison) -> str:
    """A row a recipe, also of those not shown, which were not tested."""
    groups = [comparison.baseline]
    groups += [group for group in comparison.groups if group is not comparison.baseline]
    rows = {id(row.group): row for row in comparison.rows}
    settings = [settings_of(group.first) for group in groups]
    keys = differing_keys(settings)
    cells = [
        [
            group.label,
            " ".join(member.folder for member in group.draws),
            " ".join(member.draw_name for member in group.draws),
            *(setting(each, key) for key in keys),
            *(
                cell
                for metric in comparison.metrics
                for cell in _csv_cells(group, rows.get(id(group)), metric)
            ),
            _csv_answer(group, rows.get(id(group)), comparison),
        ]
        for group, each in zip(groups, settings, strict=True)
    ]
    return Table(["label", "runs", "seeds", *keys, *_csv_header(comparison), "answer"], cells).csv()


def _csv_header(comparison: Comparison) -> list[str]:
    ends = ("", " sd", " difference", " low", " high", " p", " p alone", " count")
    return [f"{metric}{end}" for metric in comparison.metrics for end in ends]


def _csv_cells(group: Recipe, row: Compared | None, metric: str) -> list[str]:
    found = None if row is None else row.differences.get(metric)
    numbers = [group.mean_of(metric), group.std_of(metric), *([None] * 6)]
    if found is not None:
        ends = found.interval or (None, None)
        numbers[2:] = [found.value, *ends, found.p, found.p_alone, found.count]
    return ["" if number is None else f"{number:.6g}" for number in numbers]


def _csv_answer(group: Recipe, row: Compared | None, comparison: Comparison) -> str:
    if group is comparison.baseline:
        return "baseline"
    return "not tested" if row is None else answer(row)
