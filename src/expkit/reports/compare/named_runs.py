"""A comparison of the runs that words name, as the command and the Python face make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from expkit.errors import UserError
from expkit.metrics.names import Measure
from expkit.records.find_runs import find_runs
from expkit.records.run.find_run import find_run
from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.compare.chosen_metrics import choose_metrics
from expkit.reports.compare.comparison import Comparison, compare
from expkit.reports.compare.filter import keep_where
from expkit.reports.compare.measured_runs import MAX_SAID, listed, read_rows, without_repetitions
from expkit.reports.cross_validation import out_of_fold
from expkit.reports.runs.recipes import Recipe, following, rivals_of

MAX_SHOWN = 10  # recipes beside the baseline


@dataclass(frozen=True)
class NamedComparison:
    """What the named runs came to beside each other."""

    comparison: Comparison
    left_out: Sequence[str]  # a line on runs that are not compared, with the reason
    note: str  # a sentence on the keys that were folded with the seed; empty without any


def compare_named(
    words: Sequence[str],
    *,
    where: Sequence[str] = (),
    baseline: str | None = None,
    metric: str | None = None,
) -> NamedComparison:
    """Compare the runs that these words name; refused where there are no two of them."""
    rows, left_out = read_rows(find_runs(words), words)
    rows = keep_where(rows, where)
    path = None
    if baseline is not None:
        path = find_run(baseline).path.resolve()
        if all(row.run.path.resolve() != path for row in rows):
            rows = [*read_rows([Run(path)], [baseline])[0], *rows]
    rows, metrics = choose_metrics(rows, metric)
    rows, repeated, found = without_repetitions(rows, path)
    left_out += repeated
    groups = rivals_of(rows, found)
    if len(groups) < 2:
        _refuse_folds(groups[0], metrics[0])
        raise UserError(
            f"there is nothing to compare '{groups[0].name}' with",
            where=" ".join(words)[:MAX_SAID],
            allowed="; ".join(left_out) or None,
            fix="name two runs or more, a sweep, or a glob: expkit compare RUN RUN",
        )
    comparison = compare(groups, _baseline(groups, path), metrics, limit=MAX_SHOWN)
    return NamedComparison(comparison, left_out, _followers(found.followers, groups))


def _refuse_folds(recipe: Recipe, metric: str) -> None:
    """The folds of one recipe are judged together, and are no rivals."""
    if not recipe.num_folds:
        return
    shown = formatting.spread(metric, recipe.mean_of(metric), recipe.std_of(metric))
    named = metric if Measure.parse(metric).split else f"{recipe.first.judged_split}/{metric}"
    pooled = out_of_fold(recipe.draws, metric)
    raise UserError(
        f"these are {recipe.unit} of one recipe, which are not compared with each other",
        where=f"{named}: {shown}, mean ± std over {recipe.unit}\n{pooled}",
        fix="name the folds of another recipe, too: expkit compare SWEEP SWEEP",
    )


def _followers(followers: Sequence[str], groups: Sequence[Recipe]) -> str:
    """A sentence on the keys that were folded with the seed; empty without any."""
    if not followers or all(len(group.draws) == 1 for group in groups):
        return ""
    return following(followers, listed(followers))


def _baseline(groups: Sequence[Recipe], path: Path | None) -> Recipe:
    if path is None:
        return groups[0]
    return next(
        group for group in groups if any(row.run.path.resolve() == path for row in group.draws)
    )
