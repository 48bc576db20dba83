"""Tables of a summary, which a run's page and the lab notebook share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expkit.metrics.selective_prediction import SUREST
from expkit.records.run.reader import Run
from expkit.reports import formatting
from expkit.reports.markdown import without_places
from expkit.reports.run.summary import Summary
from expkit.reports.tables import Table

TRAINED = ("Training", "SimCLR")  # kinds of stages that choose a best epoch


def stages_table(summary: Summary) -> str:
    """Return how each stage ended; a stage that did not has a dash."""
    rows = [
        (
            stage["stage"],
            formatting.stage_verdict(stage),
            stage["reason"],
            str(stage["num_epochs"] or "-"),
            formatting.duration(stage["seconds"]) if stage["seconds"] else "-",
            f"{stage['samples_per_second']:,.0f}" if stage["samples_per_second"] else "-",
            str(stage["best_epoch"] or "-") if stage["kind"] in TRAINED else "-",
        )
        for stage in summary["stages"]
    ]
    header = ("stage", "verdict", "why", "epochs or steps", "time", "samples/s", "best epoch")
    return Table(header, rows).markdown()


def levels(name: str, summary: Summary) -> tuple[str, ...]:
    """Chance and largest class for a metric, as cells."""
    known = formatting.levels_of(name, summary)
    return tuple(known.get(label, "-") for label in formatting.level_names(summary))


def metrics_table(summary: Summary) -> str:
    """A column a split; the interval and the levels are those of the judged split."""
    splits, judged = list(summary["metrics"]), summary["judged_split"]
    asked = {criterion["metric"] for criterion in summary["criteria"]}
    known = dict.fromkeys(name for values in summary["metrics"].values() for name in values)
    names = [each for each in known if each in asked or formatting.is_worth_showing(each, summary)]
    intervals = summary["intervals"].get(judged, {})
    rows = [
        (
            name,
            *(_cell(name, summary["metrics"][split]) for split in splits),
            formatting.interval(name, intervals.get(name)),
            *levels(name, summary),
        )
        for name in names
    ]
    covered = formatting.interval_percent(summary, judged)
    interval = f"{covered} interval" + ("" if len(splits) == 1 else f" ({judged})")
    return Table(("metric", *splits, interval, *formatting.level_names(summary)), rows).markdown()


def _cell(name: str, metrics: Mapping[str, float | None]) -> str:
    """A figure of one split; a dash where it is of another alone, as a latency."""
    return formatting.figure(name, metrics[name]) if name in metrics else "-"


def classes_table(summary: Summary, limit: int) -> str:
    """The classes of the judged split, the worst first; empty where each is a single sample."""
    rows = summary["classes"].get(summary["judged_split"], [])
    if all(row["count"] <= 1 for row in rows):
        return ""
    worst = sorted(rows, key=lambda row: (row["f1"] is None, row["f1"] or 0))[:limit]
    cells = [
        (
            row["class"],
            str(row["count"]),
            *(_class_cell(row, metric) for metric in ("precision", "recall", "f1")),
        )
        for row in worst
    ]
    return Table(("class", "samples", "precision", "recall", "F1"), cells).markdown()


def _class_cell(row: Mapping[str, Any], metric: str) -> str:
    if row[metric] is None:
        return "-"
    ends = row.get(f"{metric}_interval")
    shown = formatting.figure(metric, row[metric])
    return f"{shown} ({formatting.interval(metric, ends)})" if ends else shown


def selective_table(summary: Summary) -> str:
    """The errors among the surest samples of the judged split; empty where none were measured."""
    found = summary.get("selective", {}).get(summary["judged_split"], {})  # older ones have none
    rows = [
        (
            name,
            f"{figures['aurc']:.4g}",
            f"{figures['excess_aurc']:.4g}",
            formatting.percent(figures["error_of_surest"]),
        )
        for name, figures in found.items()
    ]
    surest = f"wrong among the surest {formatting.percent(SUREST, 0)}"
    return Table(("order", "AURC", "above the best order", surest), rows).markdown() if rows else ""


def criteria_table(summary: Summary) -> str:
    """Make the table of criteria: bound, value, and whether it is met."""
    rows = [
        (
            formatting.asked(c),
            formatting.reached(c),
            ", ".join(filter(None, (formatting.verdict_of(c), formatting.noise_of(c)))),
        )
        for c in summary["criteria"]
    ]
    return Table(("criterion", "reached", "verdict"), rows).markdown()


def reference_table(run: Run, summary: Summary) -> str:
    """Ours beside what somebody else reported; empty where nobody did."""
    reference = run.config.get("reference")
    if not reference or not reference.get("figures"):
        return ""
    rows = []
    for name, theirs in reference["figures"].items():
        if theirs is None:  # taken back by a recipe that inherits it
            continue
        split, _, metric = str(name).rpartition("/")
        ours = summary["metrics"].get(split or summary["judged_split"], {}).get(metric)
        known = "not measured" if ours is None else formatting.figure(metric, ours)
        rows.append(
            (
                str(name),
                known,
                formatting.figure(metric, theirs),
                formatting.difference(metric, ours, theirs),
            )
        )
    source = without_places(str(reference.get("source", "reference")))
    return Table(("metric", "ours", source, "ours - theirs"), rows).markdown()
