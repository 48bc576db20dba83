"""expkit plot: a run's or a sweep's pages and pictures, drawn again from the records."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.cleaning import one_line
from expkit.commands.arguments import Parser
from expkit.records.folder import explain_disk_errors
from expkit.records.opening import list_inside
from expkit.records.run import Run
from expkit.records.sweep import find_run_or_sweep
from expkit.reports.pages import refresh
from expkit.reports.sweep_page import refresh_sweep


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit plot",
        description="Draw a run's or a sweep's pictures, report and tables from its records.",
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a name, or last"
    )
    found = find_run_or_sweep(parser.parse_args(words).run)
    with explain_disk_errors(found.path):
        if isinstance(found, Run):
            refresh(found.path, plots=True)
        else:
            refresh_sweep(found.path)
    for path in list_inside(found.path / "plots", "*.png", found.path):
        print(one_line(str(path)))
    return 0
