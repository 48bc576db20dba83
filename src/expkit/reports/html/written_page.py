"""A page that is written in Markdown as HTML: of a sweep, a comparison, an experiment."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from expkit.errors import UserError
from expkit.records.files import Record, write_aside
from expkit.records.run.reader import Run
from expkit.reports import markdown
from expkit.reports.html.charts import Chart, Line, is_positive, points_of, thinned
from expkit.reports.html.from_markdown import to_html
from expkit.reports.html.images import plots_beside
from expkit.reports.html.rendering import render
from expkit.reports.run.summary import is_gate
from expkit.reports.tables import Table

REPORT = "report.html"
MAX_RUNS = 14  # whose curves lie over one another
MAX_LINKS = 500
OVERLAID = ("loss", "accuracy", "rmse", "mae")
Named = tuple[str, Path]  # what a run is called on the page, and its folder


def write_page(
    text: str, path: Path, kind: str, runs: Sequence[Named] = (), links: Sequence[Named] = ()
) -> None:
    """Write the page beside its Markdown, with the plots that it shows and curves of these runs."""
    title, _, body = text.partition("\n")
    charts = overlaid_charts(runs[:MAX_RUNS])
    values = {
        "kind": kind,
        "title": title.removeprefix("# "),
        "body": to_html(body, plots_beside(path.parent)),
        "charts": charts,
        "links": _links(links[:MAX_LINKS], path.parent),
        "data": {"charts": [chart.to_json() for chart in charts]},
    }
    write_aside(path, render("written.html", **values))


def write_notebook_page(page: Path, runs: Sequence[Named] = ()) -> None:
    """Write index.html beside a notebook's README.md, with the notes that a person wrote."""
    text = page.read_text(encoding="utf-8", errors="replace")
    linked = re.sub(r"\]\(([^()\s:]*)README\.md\)", r"](\1index.html)", text)
    write_page(linked, page.with_name("index.html"), "notebook", runs)


def overlaid_charts(runs: Iterable[Named]) -> list[Chart]:
    """The curves of several runs in one chart a metric: held out, where that was measured."""
    histories = []
    for name, path in runs:
        with contextlib.suppress(UserError):  # the page of others shows them without it
            histories.append((name, last_training(Run(path))))
    charts = []
    for metric in OVERLAID:
        keys = [f"{split}/{metric}" for split in ("val", "train")]
        known = [key for key in keys if any(key in r for _, each in histories for r in each)]
        lines = [
            Line(name, thinned(points))
            for name, records in histories
            if known and (points := points_of(records, known[0]))
        ]
        if lines:
            split = known[0].partition("/")[0]
            title = f"{metric} on {split}" + (" while training" if split == "train" else "")
            is_percent = metric == "accuracy"
            low, high = (0.0, 1.0) if is_percent else (None, None)
            charts.append(
                Chart(
                    title,
                    "epoch",
                    metric,
                    lines,
                    is_log=metric == "loss" and is_positive(lines),
                    is_percent=is_percent,
                    low=low,
                    high=high,
                )
            )
    return charts


def last_training(run: Run) -> list[Record]:
    """The history of the last stage that trained on all samples."""
    stages = dict.fromkeys(record["stage"] for record in run.history)
    trained = [stage for stage in stages if not is_gate(run, stage)]
    return [record for record in run.history if trained and record["stage"] == trained[-1]]


def _links(runs: Sequence[Named], folder: Path) -> str:
    """The reports of runs, as a table of Markdown; empty where none is there."""
    rows = [
        (name, markdown.link(path.name, PurePath(os.path.relpath(path, folder), REPORT).as_posix()))
        for name, path in runs
        if (path / REPORT).is_file()
    ]
    return Table(("run", "report"), rows).markdown() if rows else ""
