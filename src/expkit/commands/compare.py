"""expkit compare: what differs between runs, and whether what came of it is more than luck."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from expkit.errors import UserError, nearest_of
from expkit.metrics.class_patterns import matching_classes
from expkit.metrics.classification import measure as measure_all
from expkit.metrics.classification import most_predicted
from expkit.metrics.names import CLASS_METRICS, METRICS, ON_DEMAND, Measure, main_metric
from expkit.metrics.predictions import ClassPredictions
from expkit.records.files import made_whole
from expkit.records.find_runs import find_runs
from expkit.records.run.find_run import find_run
from expkit.records.run.reader import Run
from expkit.records.run.writer import explain_disk_errors, is_locked
from expkit.records.seed_groups import Folding
from expkit.reports import formatting
from expkit.reports.compare.comparison import Comparison, compare
from expkit.reports.compare.filter import keep_where
from expkit.reports.compare.screen import WIDTH, comparison_screen
from expkit.reports.cross_validation import out_of_fold
from expkit.reports.plots.files import FORMATS, add_format
from expkit.reports.run.summary import recall
from expkit.reports.runs.recipes import Recipe, fold_rows, following, rivals_of
from expkit.reports.runs.rows import RunRow, read_run
from expkit.terminal.arguments import Parser, add_json, add_where, each_where, place
from expkit.terminal.json_output import print_document

MAX_SHOWN = 10  # recipes beside the baseline
MAX_SAID = 200  # characters of what was typed: a shell may have written out a glob
MAX_LISTED = 3  # runs that are left out, by name


def main(words: Sequence[str]) -> int:
    arguments = _parser().parse_args(each_where(words))
    rows, left_out = read_rows(find_runs(arguments.runs), arguments.runs)
    rows = keep_where(rows, arguments.where)
    baseline = None
    if arguments.baseline is not None:
        baseline = find_run(arguments.baseline).path.resolve()
        if all(row.run.path.resolve() != baseline for row in rows):
            rows = [*read_rows([Run(baseline)], [arguments.baseline])[0], *rows]
    rows, metrics = choose_metrics(rows, arguments.metric)
    rows, repeated, found = without_repetitions(rows, baseline)
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
    comparison = compare(groups, _baseline(groups, baseline), metrics, limit=MAX_SHOWN)
    followers = _followers(found.followers, groups)
    if not arguments.json:
        _print(comparison, left_out, followers)
    written: list[Path] = []
    if arguments.to is not None:
        written = _write(comparison, arguments.to, left_out, arguments.format)
    if arguments.json:
        from expkit.reports.json.comparison import comparison_document

        print_document(comparison_document(comparison, left_out, followers, written))
    return 0


def _print(comparison: Comparison, left_out: Sequence[str], followers: str) -> None:
    for line in left_out:
        print(f"left out: {line}")
    print(comparison_screen(comparison))
    if followers:
        text = f"note: {followers}"
        print("\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False)))


def _parser() -> Parser:
    parser = Parser(
        "expkit compare",
        description="What differs between runs, their figures with the difference to a baseline, "
        "and whether that is more than luck. Runs alike but for their seed are one recipe.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a path, a part of a run's name, last, a sweep, a folder of runs, an exported "
        "folder, or a glob of these",
    )
    parser.add_argument("--baseline", metavar="RUN", help="default: the first run")
    parser.add_argument("--metric", metavar="M", help="as accuracy, val/macro_f1, recall[CLASS]")
    add_where(parser)
    parser.add_argument(
        "--to",
        type=place,
        metavar="FOLDER",
        help="write compare.html, .md, .csv, changes.csv and plots",
    )
    add_format(parser)
    add_json(parser)
    return parser


def _write(
    comparison: Comparison, folder: Path, left_out: Sequence[str], plot_format: str | None
) -> list[Path]:
    from expkit.reports.compare.page import NO_IMAGE, write_comparison

    with explain_disk_errors(folder), made_whole(folder):
        written = write_comparison(comparison, folder, left_out, plot_format)
    print("\n".join(["", *map(str, written)]))
    if not any(path.suffix.lstrip(".") in FORMATS for path in written):
        print(NO_IMAGE)
    return written


def read_rows(runs: Sequence[Run], words: Sequence[str]) -> tuple[list[RunRow], list[str]]:
    """Those that were measured, and lines on those that were not; refused where none was."""
    rows, reasons = [], dict[str, list[str]]()
    for run in runs:
        try:
            row = read_run(run)
        except UserError as error:
            reason = error.what.replace(f"'{run.name}' ", "")
            if is_locked(run.path):
                reason = "running, and nothing is measured yet"
            reasons.setdefault(reason, []).append(run.name)
            continue
        if row.metrics:
            rows.append(row)
        else:
            reason = f"{row.status}, without predictions"
            reasons.setdefault(reason, []).append(run.name)
    lines = [f"{_listed(names)}: {reason}" for reason, names in reasons.items()]
    if not rows:
        raise UserError(
            "none of these runs has predictions to compare",
            where=" ".join(words)[:MAX_SAID],
            allowed="\n".join(lines),
            fix="let them come to their end, or evaluate them: expkit evaluate RUN",
        )
    return rows, lines


def without_repetitions(
    rows: Sequence[RunRow], baseline: Path | None
) -> tuple[list[RunRow], list[str], Folding]:
    """Count a run that was made twice once, as the baseline where it is that; what is left out.

    With the folding of those that stay, which of thousands is not to be done twice.
    """
    ordered = list(rows)
    if baseline is not None:
        ordered.sort(key=lambda each: each.run.path.resolve() != baseline)
    found = fold_rows(ordered)
    repeats = found.repeats
    lines = [
        f"{ordered[again].folder}: a repetition of {ordered[once].folder} "
        "(the same settings, seed and code)"
        for again, once in repeats.items()
    ]
    left_out = {ordered[again].path for again in repeats}
    kept = [each for each in rows if each.path not in left_out]
    return kept, lines, found if kept == ordered else fold_rows(kept)


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
    return following(followers, _listed(followers))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


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


def _baseline(groups: Sequence[Recipe], path: Path | None) -> Recipe:
    if path is None:
        return groups[0]
    return next(
        group for group in groups if any(row.run.path.resolve() == path for row in group.draws)
    )
