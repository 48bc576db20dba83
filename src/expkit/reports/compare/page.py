"""A comparison as files: a page, its table, the samples that changed, and plots of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from expkit.records.files import write_aside
from expkit.reports import markdown
from expkit.reports.compare import table as tables
from expkit.reports.compare.changes import KINDS, changes_table
from expkit.reports.compare.comparison import Comparison
from expkit.reports.compare.verdicts import ONE_SEED_EACH
from expkit.reports.html.written_page import write_page
from expkit.reports.plots.files import find_plots, format_of, link_to
from expkit.reports.tables import Table

NO_IMAGE = "The runs' records hold no image of a sample that changed."


def write_comparison(
    comparison: Comparison,
    folder: Path,
    left_out: Sequence[str] = (),
    plot_format: str | None = None,
) -> list[Path]:
    """compare.csv, changes.csv, the plots of what changed, compare.html and, last, compare.md."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "compare.csv", folder / "changes.csv"]
    write_aside(paths[0], tables.comparison_csv(comparison).encode())
    told = [
        (row.changes_of[0].folder, row.changes_of[1].folder, row.changes)
        for row in comparison.rows
        if row.changes is not None and row.changes_of is not None
    ]
    write_aside(paths[1], changes_table(told).encode())
    plots = list(_draw(comparison, folder, plot_format))
    for path in set(find_plots(folder, "changes*")) - set(plots):
        path.unlink()  # of an earlier comparison
    text = _page(comparison, left_out, plots)
    named = [
        (f"{group.label}: {row.folder}", row.path)
        for group in tables.shown_groups(comparison)
        for row in group.draws
        if row.path is not None
    ]
    shown = folder / "compare.html"
    write_page(text, shown, "comparison", named, named)
    page = folder / "compare.md"
    write_aside(page, text.encode())
    return [page, shown, *paths, *plots]


def _draw(comparison: Comparison, folder: Path, plot_format: str | None) -> Iterator[Path]:
    from expkit.reports.compare.changes_plot import draw_changes
    from expkit.reports.plots import style

    baseline = comparison.baseline.first.run
    with style.styled(), style.in_format(plot_format or format_of(baseline.config)):
        for row in comparison.rows:
            if row.changes is None or row.changes_of is None:
                continue
            end = "" if len(comparison.rows) == 1 else f"_{row.group.label}"
            ours, theirs = (member.run for member in row.changes_of)
            yield from draw_changes(row.changes, ours, theirs, folder / f"changes{end}.png")


def _page(comparison: Comparison, left_out: Sequence[str], plots: Sequence[Path]) -> str:
    groups = tables.shown_groups(comparison)
    names = [
        (
            group.label,
            group.name,
            ", ".join(member.draw_name for member in group.draws),
            "baseline" if group is comparison.baseline else "",
        )
        for group in groups
    ]
    settings = tables.settings_table(comparison).turned()
    plain = markdown.plain
    answers = [plain(f"- {row.group.label}: {tables.answer(row)}") for row in comparison.rows]
    warnings = [
        plain(f"- {', '.join(labels)}: {text}")
        for text, labels in tables.doubts(comparison).items()
    ]
    parts = [
        markdown.plain(f"# {comparison.metric}, beside {comparison.baseline.name}"),
        "\n".join(answers),
        "\n".join(f"- {sentence}" for sentence in tables.methods(comparison, comparison.metrics)),
        *(each if each == ONE_SEED_EACH else f"{each}." for each in comparison.abouts),
        *(["## Doubts", "\n".join(warnings)] if warnings else []),
        "## Runs",
        Table(("", "run", "seed", ""), names).markdown(),
        f"{tables.hidden(comparison)}. All are in compare.csv." if comparison.num_hidden else "",
        "\n".join(plain(f"- left out: {line}") for line in left_out),
        "## What differs",
        settings.markdown() if settings.rows else "Nothing but the code.",
        "## Figures",
        plain(f"{tables.judged_on(comparison)}."),
        tables.figures_table(comparison, comparison.metrics).markdown(),
        *_changes(comparison, plots),
        *(link_to(path, path.name) for path in plots),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _changes(comparison: Comparison, plots: Sequence[Path]) -> list[str]:
    rows = [
        (row.group.label, *(str(len(row.changes.where(kind))) for kind in KINDS))
        for row in comparison.rows
        if row.changes is not None
    ]
    if not rows:
        return []
    told = (
        "Right with the run and wrong with the baseline is fixed; every sample is in changes.csv."
    )
    return ["## Samples", told, Table(("", *KINDS), rows).markdown(), "" if plots else NO_IMAGE]
