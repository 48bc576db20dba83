"""The pages of one run, in its own folder: summary.json, metrics.csv, reports and plots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from expkit.diagnosis.finding import counted
from expkit.records.csv_cells import csv_text
from expkit.records.files import write_aside, write_json
from expkit.records.run.reader import Run
from expkit.records.safe_open import is_file, make_inside, read_file
from expkit.records.sweep.folder import Sweep
from expkit.reports import formatting, markdown
from expkit.reports.html.index_page import refresh_index
from expkit.reports.html.run_page import write_run_page
from expkit.reports.plots.files import find_plots, link_to
from expkit.reports.run import summary_tables
from expkit.reports.run.digests import make_digest
from expkit.reports.run.ensemble import members_section
from expkit.reports.run.findings import markdown_section, not_looked_section
from expkit.reports.run.noted import noted_of, page_parts
from expkit.reports.run.sections import (
    metrics_section,
    selective_section,
    speed,
    temperature_section,
    thresholds_section,
)
from expkit.reports.run.settings import settings_parts
from expkit.reports.run.summary import Summary, recall, summarize

PLOTS = "plots"
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
    write_run_page(run, summary, paths)
    make_digest(run, summary).write(run_path)
    write_json(run_path / "summary.json", summary)
    return summary


def rewrite_report(found: Run | Sweep) -> None:
    """Tell on the pages of a run that ended what was said of it since; plots stay."""
    if isinstance(found, Run) and found.exported is None and found.has_pages:
        page = found.path / "report.md"
        old = read_file(page).decode(errors="replace") if is_file(page) else ""
        plots = find_plots(found.path / PLOTS, root=found.path)
        plots.sort(key=lambda path: old.find(f"{PLOTS}/{path.name}"))  # as they stood
        summary = recall(found)
        write_aside(page, report(found, summary, plots).encode())
        write_run_page(found, summary, plots)
    if not (isinstance(found, Run) and found.exported):
        refresh_index(found.path)


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
        *(f"{markdown.plain(text)}." for text in formatting.extensions(summary)),
        *page_parts(noted_of(run)),
        *_plots(run, plots),
        *_results(run, summary),
        *markdown_section(summary["findings"]),
        *not_looked_section(summary.get("not_looked") or {}),
        *temperature_section(run),
        *thresholds_section(run),
        "## Stages",
        summary_tables.stages_table(summary),
        speed(summary),
        "## Settings",
        markdown.block(markdown.command_of(run)),
        *settings_parts(run),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _results(run: Run, summary: Summary) -> list[str]:
    parts = []
    if summary["criteria"]:
        parts += ["## Criteria", summary_tables.criteria_table(summary)]
    parts += metrics_section(summary)
    parts += members_section(summary)
    classes = summary_tables.classes_table(summary, MAX_CLASSES)
    if classes:
        few = len(summary["classes"][summary["judged_split"]]) <= MAX_CLASSES
        parts += ["## Classes", "" if few else f"The {MAX_CLASSES} with the lowest F1.", classes]
    parts += selective_section(summary)
    reference = summary_tables.reference_table(run, summary)
    if reference:
        parts += ["## Beside the reference", reference]
    return parts


def _plots(run: Run, plots: Sequence[Path]) -> list[str]:
    """Those of the end; the course of a puzzle before it is folded."""
    early = [path for path in plots if re.search(r"_epoch_\d+$", path.stem)]
    links = {path: link_to(path, path.relative_to(run.path).as_posix()) for path in plots}
    parts = [link for path, link in links.items() if path not in early]
    if early:
        shown = "\n\n".join(links[path] for path in early)
        parts.append(markdown.folded(f"{counted(len(early), 'plot')} of earlier epochs", shown))
    return ["## Plots", *parts] if parts else []
