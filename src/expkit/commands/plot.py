"""expkit plot: a run's or a sweep's pages and plots, drawn again from the records."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.records.run.reader import Run
from expkit.records.run.writer import explain_disk_errors
from expkit.records.sweep.folder import find_run_or_sweep
from expkit.reports.plots.files import add_format, find_plots
from expkit.reports.run.pages import refresh
from expkit.reports.sweep.page import refresh_sweep
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser

FORMAT = "plots.format="


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit plot",
        description="Draw a run's or a sweep's plots, report and tables from its records.",
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a name, or last"
    )
    add_format(parser)
    given = parser.parse_args([_as_flag(word) for word in words])
    found = find_run_or_sweep(given.run)
    with explain_disk_errors(found.path):
        if isinstance(found, Run):
            refresh(found.path, plots=True, plot_format=given.format)
        else:
            refresh_sweep(found.path, given.format)
    for path in find_plots(found.path / "plots", root=found.path):
        print(one_line(str(path)))
    return 0


def _as_flag(word: str) -> str:
    """Take the config's word for the format as well: it is the one that users know from train."""
    return f"--format={word.removeprefix(FORMAT)}" if word.startswith(FORMAT) else word
