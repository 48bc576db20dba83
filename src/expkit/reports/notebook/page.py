"""A lab notebook's page on an experiment, from the records of its runs alone."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from expkit.errors import UserError
from expkit.metrics.names import is_on_demand
from expkit.records.files import made_whole, write_aside
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep
from expkit.reports import markdown
from expkit.reports.compare.comparability import PREPARATION
from expkit.reports.compare.table import answer
from expkit.reports.html.written_page import write_notebook_page
from expkit.reports.notebook import comparison
from expkit.reports.notebook.comparison import Pair, beside_others
from expkit.reports.notebook.exports import exports_section
from expkit.reports.notebook.index import Result, write_result
from expkit.reports.plots.files import link_to
from expkit.reports.run import summary_tables
from expkit.reports.run.ensemble import members_section
from expkit.reports.run.findings import markdown_section
from expkit.reports.run.summary import Summary, summarize
from expkit.reports.sweep.caveats import sweep_answer
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.page import draw_sweep_plots, sections

PLOTS = ("curves_train", "puzzle_accuracy", "puzzle_grid", "puzzle_position")
INSTEAD_OF_PUZZLE = ("confusion", "confused_pairs", "classes", "reliability", "regression")
NOTES = "## Notes"
NOTES_LINE = rb"\n## Notes[ \t]*(?:\r?\n|\Z)"  # some editors leave no line break at the end
MAX_PLOT_WIDTH = 1100
MAX_PLOT_BYTES = 350_000


def write_notebook(runs: Sequence[Run], folder: Path) -> Path:
    """README.md and plots; the first run is the subject, the others are what it stands beside.

    Whatever a person wrote under `## Notes` is kept.
    """
    page = folder / "README.md"
    pairs = [(run, summarize(run)) for run in runs]
    notes = kept_notes(page)
    with made_whole(folder):
        plots = _copy_plots(runs[0], folder)
        write_aside(page, _page(pairs, plots).encode() + notes)
        write_notebook_page(page, [(run.name, run.path) for run in runs])
        write_result(folder, _result(pairs))
    return page


def write_sweep_notebook(sweep: Sweep, folder: Path) -> Path:
    """The same of a sweep or an ablation: one hypothesis, asked of many jobs."""
    page = folder / "README.md"
    notes = kept_notes(page)
    outcome = SweepOutcome.of(sweep.path)
    hypothesis = sweep.jobs[0].config.get("hypothesis") if sweep.jobs else ""
    with made_whole(folder):
        with tempfile.TemporaryDirectory() as aside:
            plots = [_shrink(path, folder) for path in draw_sweep_plots(outcome, Path(aside))]
        parts = [
            f"# {markdown.plain(folder.name)}",
            f"Hypothesis: {markdown.plain(hypothesis or 'none was stated.')}",
            *map(_portable, sections(outcome)),
            *_shown(plots),
            NOTES,
        ]
        text = "\n\n".join(part for part in parts if part) + "\n"
        write_aside(page, text.encode() + notes)
        write_notebook_page(page)
        result = {"kind": "sweep", "name": folder.name, "runs": [portable_path(sweep.path)]}
        write_result(folder, {**result, "answer": sweep_answer(outcome)})
    return page


def _result(pairs: Sequence[Pair]) -> Result:
    """Collect what the index of all experiments shows of this one."""
    run, summary = pairs[0]
    judged = summary["judged_split"]
    criterion = next((each["metric"] for each in summary["criteria"]), "")
    wanted = "" if is_on_demand(criterion) else criterion  # others have it, and a test
    metric, rows = beside_others(pairs, wanted)  # the figure and the answer are of one metric
    names = comparison.labels([run for run, _ in pairs])[1:]
    return {
        "kind": "run",
        "name": str(run.config.get("name") or run.name),
        "runs": [portable_path(each.path) for each, _ in pairs],
        "verdict": summary["verdict"],
        "dataset": run.dataset.name,
        "judged_on": summary["judged_on"],
        "judged_samples": _samples_of(run, judged),
        "metric": metric,
        "value": summary["metrics"].get(judged, {}).get(metric),
        "value_on_val": summary["metrics"].get("val", {}).get(metric),
        "interval": summary["intervals"].get(judged, {}).get(metric),
        "compared_with": list(run.config.get("compared_with") or []),
        "compared": [
            {
                "name": name,
                "answer": row.verdict.word if row.verdict else None,
                "words": answer(row),
            }
            for name, row in zip(names, rows, strict=False)
        ],
    }


def _samples_of(run: Run, split: str) -> str:
    """One word for the samples, whatever resolution they were read at.

    The settings alone stay the same when files are added, or moved from one class to another.
    """
    source = {k: v for k, v in run.config.get("dataset", {}).items() if k not in PREPARATION}
    known = [source, split, run.dataset.splits[split].num_samples]
    predicted = run.predictions.get(split)
    if predicted is not None:
        known += [list(predicted.samples), predicted.targets.tolist()]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def portable_path(path: Path) -> str:
    """Write a path from the working directory; of a run elsewhere its name alone."""
    resolved, here = path.resolve(), Path.cwd()
    return resolved.relative_to(here).as_posix() if resolved.is_relative_to(here) else path.name


def kept_notes(page: Path) -> bytes:
    """The notes under the heading, to the byte; a page without one is kept as it is."""
    if not page.exists():
        return b""
    parts = re.split(NOTES_LINE, page.read_bytes(), maxsplit=1)
    if len(parts) < 2:
        raise UserError(
            f"'{page}' exists and has no '{NOTES}' heading: it would be overwritten",
            where=f"--to {page.parent}",
            fix=f"choose another folder, or put the text to keep under a line '{NOTES}'",
        )
    return parts[1]


def _page(pairs: Sequence[Pair], plots: Sequence[Path]) -> str:
    """Up to the notes."""
    run, summary = pairs[0]
    title = run.config.get("name") or run.name
    parts = [
        f"# {markdown.plain(title)}",
        f"**{summary['verdict'].upper()}**: {markdown.plain(summary['verdict_reason'])}.",
        f"Hypothesis: {markdown.plain(run.config.get('hypothesis') or 'none was stated.')}",
        *_compared(run),
        *comparison.changes([run for run, _ in pairs]),
        "## Criteria" if summary["criteria"] else "",
        summary_tables.criteria_table(summary) if summary["criteria"] else "",
        *comparison.results(pairs),
        *members_section(summary),
        *exports_section([run for run, _ in pairs]),
        *comparison.references(pairs),
        *_findings(summary),
        "## Stages",
        comparison.stages_table(pairs),
        "## Repeat it",
        *_commands([run for run, _ in pairs]),
        *_shown(plots),
        NOTES,
    ]
    text = "\n\n".join(part for part in parts if part)
    return text + "\n"


def _shown(plots: Sequence[Path]) -> list[str]:
    links = [link_to(path, path.name) for path in plots]
    return ["## Plots", *links] if links else []


def _compared(run: Run) -> list[str]:
    stated = run.config.get("compared_with") or []
    return [f"Compared with: {markdown.plain(', '.join(stated))}."] if stated else []


def _findings(summary: Summary) -> list[str]:
    """List the findings; the commands name no place of this machine."""
    return [_portable(part) for part in markdown_section(summary["findings"])]


def _portable(part: str) -> str:
    return markdown.without_places(re.sub(r" output_dir=\S+", "", part))


def _commands(runs: Sequence[Run]) -> list[str]:
    return [
        f"{markdown.plain(name)}:\n\n{markdown.block(markdown.portable_command(run))}"
        for name, run in zip(comparison.labels(runs), runs, strict=True)
    ]


def _copy_plots(run: Run, folder: Path) -> list[Path]:
    """The subject's plots, drawn from its records, made small enough for a repository."""
    from expkit.reports.plots.gallery import draw_plots

    with tempfile.TemporaryDirectory() as aside:
        drawn = draw_plots(run, Path(aside), snapshots=False)
        chosen = [path for path in drawn if path.stem.startswith(PLOTS)]
        if not any(path.stem.startswith("puzzle") for path in chosen):
            chosen += [path for path in drawn if path.stem.startswith(INSTEAD_OF_PUZZLE)]
        return [_shrink(path, folder) for path in chosen]


def _shrink(plot: Path, folder: Path) -> Path:
    """A PNG where that is small, else a JPEG; lines are small as they are."""
    if plot.suffix != ".png":
        write_aside(folder / plot.name, plot.read_bytes())
        return folder / plot.name
    from PIL import Image

    with Image.open(plot) as opened:
        image = opened.convert("RGB")
    if image.width > MAX_PLOT_WIDTH:
        height = round(image.height * MAX_PLOT_WIDTH / image.width)
        image = image.resize((MAX_PLOT_WIDTH, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    path, other = folder / plot.name, folder / f"{plot.stem}.jpg"
    if stream.tell() > MAX_PLOT_BYTES:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=85)
        path, other = other, path
    write_aside(path, stream.getvalue())
    other.unlink(missing_ok=True)  # of an earlier refresh
    return path
