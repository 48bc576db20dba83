"""The pages of one run, in its own folder: summary.json, metrics.csv, report.md and plots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from expkit.diagnosis.finding import counted
from expkit.records.csv_cells import csv_text
from expkit.records.files import write_aside, write_json
from expkit.records.run.kept_temperature import read_temperature
from expkit.records.run.reader import Run
from expkit.records.run.thresholds import read_thresholds
from expkit.records.safe_open import make_inside
from expkit.reports import formatting, markdown
from expkit.reports.plots.files import find_plots, link_to
from expkit.reports.run import summary_tables
from expkit.reports.run.digests import make_digest
from expkit.reports.run.ensemble import members_section
from expkit.reports.run.findings import markdown_section, not_looked_section
from expkit.reports.run.settings import settings_parts
from expkit.reports.run.summary import Summary, summarize
from expkit.reports.run.temperature_page import temperature_screen
from expkit.reports.run.threshold_page import threshold_screen

PLOTS = "plots"
SELECTIVE = (
    "Errors among the samples that are kept where the least sure are withheld. AURC is the mean "
    "error rate over all fractions kept: 0 is perfect, the error rate itself is no order at all."
)
MAX_CLASSES = 20  # of which the page tells how each fared


def refresh(run_path: Path, *, plots: bool, plot_format: str | None = None) -> Summary:
    """Write every page anew from the records; without `plots` the images stay as they are.

    summary.json comes last: where it stands, the other pages stand too.
    """
    run = Run(run_path)
    summary = summarize(run)
    write_aside(run_path / "metrics.csv", history_table(run).encode())
    if plots:
        from expkit.reports.plots.gallery import draw_plots

        make_inside(run_path / PLOTS, run_path)
        paths = draw_plots(run, run_path / PLOTS, plot_format=plot_format)
        for path in set(find_plots(run_path / PLOTS, root=run_path)) - set(paths):
            path.unlink()  # its records are no longer there, or it is of another format
    else:
        paths = find_plots(run_path / PLOTS, root=run_path)
    write_aside(run_path / "report.md", report(run, summary, paths).encode())
    make_digest(run, summary).write(run_path)
    write_json(run_path / "summary.json", summary)
    return summary


def history_table(run: Run) -> str:
    """The history as CSV: a column a key, in the order in which keys first appear."""
    keys = dict.fromkeys(key for record in run.history for key in record)
    return csv_text([keys, *([record.get(key, "") for key in keys] for record in run.history)])


def report(run: Run, summary: Summary, plots: Sequence[Path]) -> str:
    """The page that says what a run came to: the verdict, the plots, then the figures."""
    parts = [
        f"# {markdown.plain(run.name)}",
        f"**{summary['verdict'].upper()}**: {markdown.plain(summary['verdict_reason'])} "
        f"({summary['status']}).",
        f"Hypothesis: {markdown.plain(run.config.get('hypothesis') or 'none was stated.')}",
        *_plots(run, plots),
        *_results(run, summary),
        *markdown_section(summary["findings"]),
        *not_looked_section(summary.get("not_looked") or {}),
        *_temperature(run),
        *_thresholds(run),
        "## Stages",
        summary_tables.stages_table(summary),
        _speed(summary),
        "## Settings",
        markdown.block(markdown.command_of(run)),
        *settings_parts(run),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _results(run: Run, summary: Summary) -> list[str]:
    parts = []
    if summary["criteria"]:
        parts += ["## Criteria", summary_tables.criteria_table(summary)]
    if summary["metrics"]:
        judged = f"Judged on `{summary['judged_split']}`: {markdown.plain(summary['judged_on'])}."
        parts += ["## Metrics", judged, summary_tables.metrics_table(summary)]
        ignorance = formatting.against_ignorance(summary)
        if ignorance is not None:
            parts.append(f"**The accuracy is {ignorance}.**")
        parts += [f"{text[0].upper()}{text[1:]}." for text in formatting.beside_metrics(summary)]
        gap = summary["held_out_gap"]
        if gap is not None and gap["gap"] is not None:
            sentence = formatting.gap(gap)
            parts.append(f"{sentence[0].upper()}{sentence[1:]}.")
    parts += members_section(summary)
    classes = summary_tables.classes_table(summary, MAX_CLASSES)
    if classes:
        few = len(summary["classes"][summary["judged_split"]]) <= MAX_CLASSES
        parts += ["## Classes", "" if few else f"The {MAX_CLASSES} with the lowest F1.", classes]
    selective = summary_tables.selective_table(summary)
    if selective:
        parts += ["## Selective prediction", SELECTIVE, selective]
    reference = summary_tables.reference_table(run, summary)
    if reference:
        parts += ["## Beside the reference", reference]
    return parts


def _temperature(run: Run) -> list[str]:
    kept = read_temperature(run.path)
    screen = None if kept is None else temperature_screen(kept, run)
    return ["## Calibration", markdown.block(screen)] if screen else []


def _thresholds(run: Run) -> list[str]:
    thresholds = read_thresholds(run.path)
    screens = [markdown.block(threshold_screen(each, run.dataset)) for each in thresholds]
    return ["## Thresholds", *screens] if screens else []


def _speed(summary: Summary) -> str:
    parts = [f"{formatting.duration(summary['wall_seconds'])} in all"]
    if summary["samples_per_second"]:
        parts.append(f"{summary['samples_per_second']:,.0f} samples a second in training")
    if summary["peak_memory_bytes"]:
        parts.append(f"{formatting.memory(summary['peak_memory_bytes'])} of memory at the peak")
    return ", ".join(parts) + "."


def _plots(run: Run, plots: Sequence[Path]) -> list[str]:
    """Those of the end; the course of a puzzle before it is folded."""
    early = [path for path in plots if re.search(r"_epoch_\d+$", path.stem)]
    links = {path: link_to(path, path.relative_to(run.path).as_posix()) for path in plots}
    parts = [link for path, link in links.items() if path not in early]
    if early:
        shown = "\n\n".join(links[path] for path in early)
        parts.append(markdown.folded(f"{counted(len(early), 'plot')} of earlier epochs", shown))
    return ["## Plots", *parts] if parts else []
