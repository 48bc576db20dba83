"""Several runs beside each other: what was changed, what came of it, and what may be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expkit.metrics.names import main_metric
from expkit.records.run.reader import Run
from expkit.records.seed_groups import NOT_SETTINGS, differing_keys, flatten
from expkit.reports import formatting, markdown
from expkit.reports.compare.comparison import Compared, beside_each
from expkit.reports.compare.table import answer
from expkit.reports.compare.verdicts import ONE_SEED_EACH, corrected, difference_shown, methods_of
from expkit.reports.run import summary_tables
from expkit.reports.run.digests import make_digest
from expkit.reports.run.summary import Summary
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.rows import row_of
from expkit.reports.tables import Table

Pair = tuple[Run, Summary]


def labels(runs: Sequence[Run]) -> list[str]:
    """Each run's configured name, or its folder's where two have the same."""
    names = [str(run.config.get("name") or run.name) for run in runs]
    return [
        run.name if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)
    ]


def changes(runs: Sequence[Run]) -> list[str]:
    if len(runs) == 1:
        return []
    names = labels(runs)
    ours, theirs = (
        flatten({k: v for k, v in run.recipe.items() if k not in NOT_SETTINGS}) for run in runs[:2]
    )
    keys = differing_keys([ours, theirs])
    if not keys:
        return [
            "## What changed",
            f"Nothing: the settings are those of {markdown.plain(names[1])}.",
        ]
    rows = [
        (
            markdown.code(key),
            *(_setting(side, key) for side in (theirs, ours)),
        )
        for key in keys
    ]
    return ["## What changed", Table(("setting", names[1], names[0]), rows).markdown()]


def _setting(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "-"
    return markdown.without_places(markdown.shown_value(settings[key]))


def results(pairs: Sequence[Pair]) -> list[str]:
    """A column a run of what each measured on its judged split."""
    names = labels([run for run, _ in pairs])
    judged = [summary["metrics"].get(summary["judged_split"], {}) for _, summary in pairs]
    metrics = list(dict.fromkeys(name for values in judged for name in values))
    if not metrics:
        return []
    rows = [
        (
            metric,
            *(
                formatting.figure(metric, values[metric]) if metric in values else "not measured"
                for values in judged
            ),
            *_levels(metric, pairs),
        )
        for metric in metrics
    ]
    rows += [_row("best epoch", [str(s["best_epoch"] or "-") for _, s in pairs])]
    rows += [_row("epochs trained", [_num_epochs(s) for _, s in pairs])]
    rows += [_row("time in all", [formatting.duration(s["wall_seconds"]) for _, s in pairs])]
    return [
        "## Results",
        _judged_on(pairs),
        Table(("metric", *names, *formatting.level_names(pairs[0][1])), rows).markdown(),
        *_answers(pairs),
        *_ignorant(pairs),
    ]


def _ignorant(pairs: Sequence[Pair]) -> list[str]:
    """Each run that is no better than never looking at its images."""
    names = labels([run for run, _ in pairs])
    texts = [formatting.against_ignorance(summary) for _, summary in pairs]
    found = [f"- {name} is {text}" for name, text in zip(names, texts, strict=True) if text]
    return ["\n".join(found)] if found else []


def _levels(metric: str, pairs: Sequence[Pair]) -> list[str]:
    """Chance and largest class; where the runs' data differ, those of each run in turn."""
    found = [summary_tables.levels(metric, summary) for _, summary in pairs]
    return [" / ".join(dict.fromkeys(cells)) for cells in zip(*found, strict=True)]


def _row(name: str, cells: Sequence[str]) -> tuple[str, ...]:
    return (name, *cells, "-", "-")


def _num_epochs(summary: Summary) -> str:
    trained = [s["num_epochs"] for s in summary["stages"] if s["kind"] == "Training"]
    return str(sum(trained)) if trained else "-"


def _judged_on(pairs: Sequence[Pair]) -> str:
    text = "; ".join(dict.fromkeys(summary["judged_on"] for _, summary in pairs))
    return f"{text[0].upper()}{text[1:]}."


def beside_others(pairs: Sequence[Pair], wanted: str = "") -> tuple[str, list[Compared]]:
    """The first beside each of the others, and the metric by which; no row where it has none.

    The wanted metric, where the first has a figure of it.
    """
    names = labels([run for run, _ in pairs])
    groups = [
        Recipe(name, [row_of(run.path, make_digest(run, summary))])
        for name, (run, summary) in zip(names, pairs, strict=True)
    ]
    figures = groups[0].first.metrics.get(groups[0].first.judged_split, {})
    if not figures:
        return "", []
    metric = wanted if wanted in figures else main_metric(figures)
    return metric, beside_each(groups[0], groups[1:], metric)


def _answers(pairs: Sequence[Pair]) -> list[str]:
    """Say whether the first is better than each other, or 0.16 points may be two samples."""
    names = labels([run for run, _ in pairs])
    metric, rows = beside_others(pairs)
    if not rows:
        return []
    lines = []
    for name, row in zip(names[1:], rows, strict=True):
        found = row.differences.get(metric)
        difference = "" if found is None else f" {difference_shown(metric, found)}:"
        lines.append(f"- {names[0]} beside {name}, {metric}:{difference} {answer(row)}")
    tested = [(metric, row.differences[metric]) for row in rows if metric in row.differences]
    sentences = [*methods_of(tested), corrected(len(tested), "")]
    lines += [f"- {sentence}" for sentence in sentences if sentence]
    return ["\n".join(lines), *([ONE_SEED_EACH] if tested else [])]


def references(pairs: Sequence[Pair]) -> list[str]:
    names = labels([run for run, _ in pairs])
    parts = []
    for name, (run, summary) in zip(names, pairs, strict=True):
        beside = summary_tables.reference_table(run, summary)
        if beside:
            parts += [f"{name}:", beside]
    return ["## Beside what was reported", *parts] if parts else []


def stages_table(pairs: Sequence[Pair]) -> str:
    """Return how each stage ended; a stage that did not has a dash."""
    names = labels([run for run, _ in pairs])
    found = [{stage["stage"]: stage for stage in summary["stages"]} for _, summary in pairs]
    stages = dict.fromkeys(stage for stages in found for stage in stages)
    rows = []
    for stage in stages:
        cells = []
        for by_name in found:
            record = by_name.get(stage)
            cells.append(
                "-" if record is None else f"{formatting.stage_verdict(record)}: {record['reason']}"
            )
        rows.append((stage, *cells))
    return markdown.without_places(Table(("stage", *names), rows).markdown())
