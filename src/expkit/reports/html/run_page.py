"""report.html: what a run came to, in one file that opens anywhere."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from expkit.diagnosis.finding import Finding
from expkit.metrics.names import FRACTION, main_metric
from expkit.metrics.predictions import ClassPredictions, ValuePredictions
from expkit.records.files import write_aside
from expkit.records.run.reader import Run
from expkit.reports import formatting, markdown
from expkit.reports.html import charts, samples
from expkit.reports.html.images import plot_uri
from expkit.reports.html.rendering import render
from expkit.reports.run import sections, summary_tables
from expkit.reports.run.ensemble import members_section
from expkit.reports.run.findings import EVERYTHING, evidence_text, next_step, place, sentence
from expkit.reports.run.noted import noted_of
from expkit.reports.run.run_screen import last_line
from expkit.reports.run.settings import settings_parts
from expkit.reports.run.summary import Summary

PAGE = "report.html"
MAX_CLASSES = 2000
MAX_PLOTS_CHARACTERS = 900_000
# plots that the page does not draw itself
SHOWN_PLOTS = (
    *("precision_recall", "risk_coverage", "class_weights", "calibration", "threshold"),
    *("latency", "puzzle_grid", "puzzle_position"),
)
Headline = dict[str, Any]


def write_run_page(run: Run, summary: Summary, plots: Sequence[Path]) -> None:
    """Write report.html into the run's folder."""
    write_aside(run.path / PAGE, render("run.html", **page_values(run, summary, plots)))


def page_values(run: Run, summary: Summary, plots: Sequence[Path]) -> dict[str, Any]:
    """All that the template shows."""
    judged = run.predictions.get(summary["judged_split"])
    stages = charts.stage_charts(run)
    wrong = samples.confusion(judged) if isinstance(judged, ClassPredictions) else None
    calibration = charts.calibration_chart(judged) if isinstance(judged, ClassPredictions) else None
    of_values = charts.value_charts(judged) if isinstance(judged, ValuePredictions) else []
    drawn = [chart for each in stages for chart in each.charts]
    data = {
        "charts": [each.to_json() for each in (*drawn, *of_values)],
        "calibration": calibration and calibration.to_json(),
        "classes": run.dataset.class_names or (),
        "confusion": wrong,
        "puzzles": samples.puzzles(run),
    }
    return {
        "summary": summary,
        "run": run,
        "facts": _facts(run, summary),
        "extensions": formatting.extensions(summary),
        "noted": noted_of(run),
        "headline": headline(summary),
        "progress": last_line(summary) or "no epoch was recorded",
        "criteria": summary["criteria"]
        and without_heading([summary_tables.criteria_table(summary)]),
        "findings": [_finding(Finding.from_json(each)) for each in summary["findings"]],
        "not_looked": summary.get("not_looked") or {},
        "stage_charts": stages,
        "num_stage_charts": len(drawn),
        "value_charts": of_values,
        "largest_errors": samples.largest_errors(judged)
        if isinstance(judged, ValuePredictions)
        else "",
        "metrics": without_heading(sections.metrics_section(summary)),
        "members": without_heading(members_section(summary)),
        "classes": summary_tables.classes_table(summary, MAX_CLASSES),
        "reference": summary_tables.reference_table(run, summary),
        "selective": without_heading(sections.selective_section(summary)),
        "temperature": without_heading(sections.temperature_section(run)),
        "thresholds": without_heading(sections.thresholds_section(run)),
        "stages": summary_tables.stages_table(summary),
        "speed": sections.speed(summary),
        "wrong_images": samples.confident_errors(run),
        "augmented": samples.augmented_samples(run),
        "plots": _plots(run, plots),
        "settings": "\n\n".join(part for part in settings_parts(run) if part),
        "environment": samples.environment_table(run),
        "command": markdown.command_of(run),
        "commands": _commands(run, summary),
        "data": data,
    }


def headline(summary: Summary) -> Headline | None:
    """The figure by which the run is judged, its interval, and what it stands beside."""
    split = summary["judged_split"]
    metrics = summary["metrics"].get(split)
    if not metrics:
        return None
    asked = [each for each in summary["criteria"] if each["split"] == split]
    name = next((each["metric"] for each in asked if each["metric"] in metrics), None)
    if name is None:
        name = main_metric(metrics)
    value = metrics[name]
    ends = summary["intervals"].get(split, {}).get(name)
    bounds = [each for each in asked if each["metric"] == name]
    levels = zip(
        formatting.level_names(summary),
        (summary["levels"][kind].get(name) for kind in ("chance", "constant")),
        strict=True,
    )
    known = [(label, level) for label, level in levels if level is not None]
    return {
        "name": name,
        "value": formatting.figure(name, value),
        "interval": None if ends is None else formatting.interval(name, ends),
        "interval_percent": formatting.interval_percent(summary, split),
        "levels": [(label, formatting.figure(name, level)) for label, level in known],
        "judged_on": summary["judged_on"],
        "split": split,
        "bar": _bar(value, ends, known, bounds) if name in FRACTION else None,
    }


def _bar(
    value: float | None,
    ends: Sequence[float] | None,
    levels: Sequence[tuple[str, float]],
    bounds: Sequence[dict[str, Any]],
) -> dict[str, Any] | None:
    """Places along a line from 0 to 100 %."""
    if value is None:
        return None
    low, high = ends or (value, value)
    return {
        "value": 100 * value,
        "low": 100 * low,
        "width": 100 * (high - low),
        "levels": [(label, 100 * level) for label, level in levels],
        "bounds": [(formatting.bound(each), 100 * each["bound"]) for each in bounds],
    }


def _facts(run: Run, summary: Summary) -> list[tuple[str, str]]:
    """What was run, in a line: the choices that tell one run from another."""
    choices = run.environment.get("choices") or {}
    wanted = ("model", "dataset", "optimizer", "schedule", "augment", "loss", "procedure")
    found = [(group, str(choices[group])) for group in wanted if group in choices]
    found = [pair for pair in found if pair[1] not in ("none", "constant")]
    if not found:
        found = [("dataset", run.dataset.name)]
    started = str(run.environment.get("started") or "")
    if len(started) > len("2026-01-01T12:00"):
        found.append(("started", started[:16].replace("T", " ")))
    if summary["wall_seconds"]:
        found.append(("time", formatting.duration(summary["wall_seconds"])))
    return found


def _finding(finding: Finding) -> dict[str, Any]:
    advice, new, command = next_step(finding)
    return {
        "severity": finding.severity,
        "rule": finding.rule,
        "place": place(finding).strip(" ()"),
        "sentence": sentence(finding.sentence),
        "cause": sentence(finding.cause) if finding.cause else "",
        "evidence": evidence_text(finding.evidence, EVERYTHING),
        "advice": advice,
        "new": new,
        "command": command,
    }


def _plots(run: Run, plots: Sequence[Path]) -> list[tuple[str, str]]:
    """Plots of other kinds than the page draws, as long as they keep it small."""
    found, room = [], MAX_PLOTS_CHARACTERS
    for path in plots:
        if not path.stem.startswith(SHOWN_PLOTS) or "_epoch_" in path.stem:
            continue
        source = plot_uri(path, run.path)
        if source is not None and len(source) <= room:
            found.append((path.stem.replace("_", " "), source))
            room -= len(source)
    return found


def _commands(run: Run, summary: Summary) -> list[tuple[str, str]]:
    """What else can be done with the run."""
    name = shlex.quote(run.name)
    is_over = summary["status"] in ("finished", "failed")
    return [
        *([] if is_over else [("Go on with it:", f"expkit resume {name}")]),
        ("Its result on the terminal:", f"expkit show {name}"),
        ("Beside the newest run:", f"expkit compare {name} last"),
        ("This page again, from the records:", f"expkit plot {name}"),
    ]


def without_heading(parts: Sequence[str]) -> str:
    """Parts of a Markdown page as one text; the page sets its own headings."""
    return "\n\n".join(part for part in parts if part and not part.startswith("## "))
