"""The pages of one run, in its own folder: summary.json, metrics.csv, report.md and plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from expkit.records.cells import safe_row
from expkit.records.files import write_aside, write_json
from expkit.records.opening import list_inside, make_inside
from expkit.records.run import Run
from expkit.records.thresholds import read_thresholds
from expkit.reports import markdown, wording
from expkit.reports.digests import make_digest
from expkit.reports.findings import markdown_section
from expkit.reports.summary import Summary, summarize
from expkit.reports.threshold_page import threshold_screen

TOLD_ELSEWHERE = ("name", "hypothesis", "criteria", "reference", "compared_with")
PLOTS = "plots"
MAX_CLASSES = 20  # of which the page tells how each fared


def refresh(run_path: Path, *, plots: bool) -> Summary:
    """Write every page anew from the records; without `plots` the pictures stay as they are.

    summary.json comes last: where it stands, the other pages stand too.
    """
    run = Run(run_path)
    summary = summarize(run)
    write_aside(run_path / "metrics.csv", history_table(run).encode())
    if plots:
        from expkit.reports.gallery import draw_plots

        make_inside(run_path / PLOTS, run_path)
        pictures = draw_plots(run, run_path / PLOTS)
        for path in set(list_inside(run_path / PLOTS, "*.png", run_path)) - set(pictures):
            path.unlink()  # its records are no longer there
    else:
        pictures = list(list_inside(run_path / PLOTS, "*.png", run_path))
    write_aside(run_path / "report.md", report(run, summary, pictures).encode())
    make_digest(run, summary).write(run_path)
    write_json(run_path / "summary.json", summary)
    return summary


def history_table(run: Run) -> str:
    """The history as CSV: a column a key, in the order in which keys first appear."""
    keys = dict.fromkeys(key for record in run.history for key in record)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(safe_row(keys))
    writer.writerows(safe_row(record.get(key, "") for key in keys) for record in run.history)
    return stream.getvalue()


def report(run: Run, summary: Summary, pictures: Sequence[Path]) -> str:
    """The page that says what a run came to, verdict first."""
    parts = [
        f"# {markdown.plain(run.name)}",
        f"**{summary['verdict'].upper()}**: {markdown.plain(summary['verdict_reason'])} "
        f"({summary['status']}).",
        f"Hypothesis: {markdown.plain(run.config.get('hypothesis') or 'none was stated.')}",
        *_results(run, summary),
        *markdown_section(summary["findings"]),
        *_thresholds(run),
        "## Stages",
        markdown.stages_table(summary),
        _speed(summary),
        "## Settings",
        markdown.block(markdown.command_of(run)),
        _settings(run),
        *_pictures(run, pictures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _results(run: Run, summary: Summary) -> list[str]:
    parts = []
    if summary["criteria"]:
        parts += ["## Criteria", markdown.criteria_table(summary)]
    if summary["metrics"]:
        judged = f"Judged on `{summary['judged_split']}`: {markdown.plain(summary['judged_on'])}."
        parts += ["## Metrics", judged, markdown.metrics_table(summary)]
        ignorance = wording.against_ignorance(summary)
        if ignorance is not None:
            parts.append(f"**The accuracy is {ignorance}.**")
        parts += [f"{text[0].upper()}{text[1:]}." for text in wording.beside_metrics(summary)]
        gap = summary["held_out_gap"]
        if gap is not None and gap["gap"] is not None:
            sentence = wording.gap(gap)
            parts.append(f"{sentence[0].upper()}{sentence[1:]}.")
    classes = markdown.classes_table(summary, MAX_CLASSES)
    if classes:
        few = len(summary["classes"][summary["judged_split"]]) <= MAX_CLASSES
        parts += ["## Classes", "" if few else f"The {MAX_CLASSES} with the lowest F1.", classes]
    reference = markdown.reference_table(run, summary)
    if reference:
        parts += ["## Beside the reference", reference]
    return parts


def _thresholds(run: Run) -> list[str]:
    thresholds = read_thresholds(run.path)
    screens = [markdown.block(threshold_screen(each, run.dataset)) for each in thresholds]
    return ["## Thresholds", *screens] if screens else []


def _speed(summary: Summary) -> str:
    parts = [f"{wording.duration(summary['wall_seconds'])} in all"]
    if summary["samples_per_second"]:
        parts.append(f"{summary['samples_per_second']:,.0f} samples a second in training")
    if summary["peak_memory_bytes"]:
        parts.append(f"{wording.memory(summary['peak_memory_bytes'])} of memory at the peak")
    return ", ".join(parts) + "."


def _settings(run: Run) -> str:
    chosen = {k: v for k, v in run.config.items() if k not in TOLD_ELSEWHERE}
    rows = [
        (markdown.code(k), markdown.shown_value(v)) for k, v in markdown.flatten(chosen).items()
    ]
    return markdown.table(("setting", "value"), rows)


def _pictures(run: Run, pictures: Sequence[Path]) -> list[str]:
    links = [markdown.image(path.relative_to(run.path), path.stem) for path in pictures]
    return ["## Pictures", *links] if links else []
