"""The pages of a sweep, in its own folder: sweep.csv, sweep.md, sweep.html and plots."""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from expkit.metrics.names import Measure, is_lower_better
from expkit.records.files import write_aside
from expkit.records.safe_open import refuse_links
from expkit.records.sweep.folder import Sweep
from expkit.reports import formatting, markdown
from expkit.reports.cross_validation import pooled_cell
from expkit.reports.html.written_page import write_page
from expkit.reports.plots.files import find_plots, format_of, link_to
from expkit.reports.runs.recipes import Recipe
from expkit.reports.runs.rows import RunRow
from expkit.reports.runs.settings import shown
from expkit.reports.sweep.ablation_page import ablation_section
from expkit.reports.sweep.caveats import sweep_answer, told_of
from expkit.reports.sweep.outcome import SweepOutcome
from expkit.reports.sweep.search import command
from expkit.reports.tables import Table

PLOTS = "plots"
MAX_ROWS = 50  # settings of a page; sweep.csv has all jobs
MAX_FAILURES = 30
MAX_POOLED = 10  # settings whose folds are pooled for the page: each run's predictions are read
OUT_OF_FOLD = "out of fold (95 % interval)"
WHOLE = ("finished", "reused")  # jobs whose time is that of a whole one
BESIDE = ("accuracy", "macro_f1", "log_loss", "rmse", "r2")  # metrics that a page has room for


def refresh_sweep(path: Path, plot_format: str | None = None) -> SweepOutcome:
    """Write every page anew from the records; in the jobs' own format where none is given."""
    from expkit.reports.sweep.table import SweepTable

    refuse_links(path / PLOTS, path)
    outcome = SweepOutcome.of(path)
    SweepTable(outcome.sweep, outcome.rows).write()
    plots = draw_sweep_plots(outcome, path / PLOTS, plot_format)
    text = page(outcome, plots)
    rows = [row for group in outcome.groups for row in group.rows]
    write_page(text, path / "sweep.html", "sweep", _named(rows), _named(outcome.rows))
    write_aside(path / "sweep.md", text.encode())
    return outcome


def _named(rows: Sequence[RunRow]) -> list[tuple[str, Path]]:
    """The runs of jobs, by what each varies."""
    return [(f"{row.number}: {row.asked}", row.path) for row in rows if row.path is not None]


def draw_sweep_plots(
    outcome: SweepOutcome, folder: Path, plot_format: str | None = None
) -> list[Path]:
    """Those of the records that are; an old plot without records goes."""
    if outcome.best is None:
        plots = []
    else:
        from expkit.reports.plots import style
        from expkit.reports.sweep.plots.ablation_effects import draw_ablation
        from expkit.reports.sweep.plots.axes import Objective
        from expkit.reports.sweep.plots.choice_of_plots import draw_sweep

        objective = Objective(outcome.objective, outcome.levels)
        jobs = outcome.sweep.jobs
        with style.in_format(plot_format or format_of(jobs[0].config)):
            plots = draw_sweep(outcome.groups, objective, folder)
            if outcome.ablation is not None:
                worth = draw_ablation(outcome.ablation, folder)
                plots = plots if worth is None else [worth, *plots]
    for old in set(find_plots(folder)) - set(plots):
        old.unlink()
    return plots


def page(outcome: SweepOutcome, plots: Sequence[Path]) -> str:
    """The answer first."""
    parts = [
        f"# {markdown.plain(outcome.sweep.name)}",
        *sections(outcome),
        *(["## Plots"] if plots else []),
        *(link_to(path, f"plots/{path.name}") for path in plots),
    ]
    return "\n\n".join(parts) + "\n"


def sections(outcome: SweepOutcome) -> list[str]:
    """All but the title and the plots."""
    sweep = outcome.sweep
    answer = outcome.headline() if outcome.ablation is None else sweep_answer(outcome)
    return [
        f"**{markdown.plain(answer)}**",
        f"{outcome.counts()}.",
        *told_of(outcome),
        *ablation_section(outcome),
        *_table(outcome),
        *_failures(outcome),
        *_findings(outcome.rows),
        "## Repeat it",
        markdown.block(command_of(sweep)),
        *_best_command(outcome),
    ]


def command_of(sweep: Sweep) -> str:
    """The command that was typed; the folder's own word is not the user's."""
    words = [word for word in sweep.command if not word.startswith("hydra.sweep.dir=")]
    return shlex.join(words)


def _best_command(outcome: SweepOutcome) -> list[str]:
    if outcome.best is None or not outcome.is_choice:
        return []
    which = "one of its runs" if len(outcome.best.judged) > 1 else "alone"
    return [f"The best, {which}:", markdown.block(command(outcome.best.judged[0]))]


def _table(outcome: SweepOutcome) -> list[str]:
    groups, objective = outcome.groups[:MAX_ROWS], outcome.objective
    if not groups:
        return []
    if outcome.best is None:
        return _outcomes(outcome)
    keys, beside = list(groups[0].settings), _metrics_beside(outcome)
    pooled = [OUT_OF_FOLD] * any(group.num_folds for group in groups)
    rows = [_table_row(group, outcome, beside, has_pooled=bool(pooled)) for group in groups]
    better = "lower" if is_lower_better(objective) else "higher"
    over = "folds" if pooled else "seeds"
    over = f"mean ± std over {over}" if any(len(group.rows) > 1 for group in groups) else ""
    told = ", ".join(filter(None, [f"By {objective}, {better} is better", over]))
    more = len(outcome.groups) - len(groups)
    header = ("", *keys, "n", objective, *pooled, *beside, "best epoch", "time a job", "findings")
    return [
        "## Results",
        f"{told}{f'; {more} more are in sweep.csv' if more else ''}.",
        Table(header, rows).markdown(),
    ]


def _outcomes(outcome: SweepOutcome) -> list[str]:
    """A row a job where none has a figure: of gates alone, what each came to."""
    rows = [
        (
            str(row.number),
            row.asked,
            row.status,
            row.reason,
        )
        for row in outcome.rows[:MAX_ROWS]
    ]
    more = len(outcome.rows) - len(rows)
    return [
        "## Results",
        markdown.without_places(Table(("job", "settings", "status", "told"), rows).markdown()),
        *([f"{more} more are in sweep.csv."] if more else []),
    ]


def _table_row(
    group: Recipe, outcome: SweepOutcome, beside: Sequence[str], *, has_pooled: bool
) -> tuple[str, ...]:
    assert outcome.best is not None
    best = outcome.is_choice and group.mean == outcome.best.mean
    figure = group.in_words(outcome.objective)
    if not group.values:
        figure = ", ".join(dict.fromkeys(row.status for row in group.rows))
    epochs = [row.best_epoch for row in group.rows if row.best_epoch is not None]
    seconds = [row.seconds for row in group.rows if row.seconds is not None and row.status in WHOLE]
    is_pooled = group.num_folds > 0 and group.values and outcome.groups.index(group) < MAX_POOLED
    pooled = [pooled_cell(group.judged, outcome.objective) if is_pooled else "-"] * has_pooled
    count = str(len(group.values))
    if len(group.values) < len(group.rows):
        count += f" of {len(group.rows)}"
    means = ((metric, group.mean_of(metric)) for metric in beside)
    return (
        markdown.Markup("**best**") if best else "",
        *(shown(value) for value in group.settings.values()),
        count,
        markdown.Markup(f"**{figure}**") if best else figure,
        *pooled,
        *("-" if mean is None else formatting.figure(metric, mean) for metric, mean in means),
        f"{statistics.fmean(epochs):.0f}" if epochs else "-",
        formatting.duration(statistics.fmean(seconds)) if seconds else "-",
        _counted(group.findings),
    )


def _metrics_beside(outcome: SweepOutcome) -> list[str]:
    split, metric = Measure.parse(outcome.objective).split, Measure.parse(outcome.objective).metric
    known = {name for row in outcome.rows for name in row.metrics.get(split, ())}
    return [f"{split}/{name}" for name in BESIDE if name != metric and name in known]


def _counted(findings: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in findings.most_common(3)) or "-"


def _failures(outcome: SweepOutcome) -> list[str]:
    failed = outcome.failed
    if not failed:
        return []
    rows = [
        (
            str(row.number),
            row.asked,
            row.failure,
            markdown.link("output", f"jobs/{row.output.name}"),
        )
        for row in failed[:MAX_FAILURES]
    ]
    more = len(failed) - len(rows)
    again = sum(row.runs_again for row in failed)
    whose = "They run" if again == len(failed) else f"{again} of them run"
    return [
        "## Failed",
        markdown.without_places(Table(("job", "settings", "why", "what it said"), rows).markdown()),
        *([f"{more} more are in sweep.csv."] if more else []),
        *([f"{whose} again by `expkit resume {outcome.sweep.name}`."] if again else []),
    ]


def _findings(rows: Sequence[RunRow]) -> list[str]:
    counts = Counter(finding for row in rows for finding in row.findings)
    if not counts:
        return []
    total = sum(row.is_done for row in rows)
    cells = [(name, f"{count} of {total} jobs") for name, count in counts.most_common()]
    return ["## Findings", Table(("finding", "in"), cells).markdown()]
