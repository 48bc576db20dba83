"""expkit plot: a run's or a sweep's pages and pictures, drawn again from the records."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.cleaning import one_line
from expkit.commands.arguments import Parser
from expkit.records.folder import explain_disk_errors
from expkit.records.run import Run
from expkit.records.sweep import find_run_or_sweep
from expkit.reports.pages import refresh
from expkit.reports.picture_files import add_format, find_pictures
from expkit.reports.sweep_page import refresh_sweep


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit plot",
        description="Draw a run's or a sweep's pictures, report and tables from its records.",
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a name, or last"
    )
    add_format(parser)
    given = parser.parse_args(words)
    found = find_run_or_sweep(given.run)
    with explain_disk_errors(found.path):
        if isinstance(found, Run):
            refresh(found.path, plots=True, picture_format=given.format)
        else:
            refresh_sweep(found.path, given.format)
    for path in find_pictures(found.path / "plots", root=found.path):
        print(one_line(str(path)))
    return 0
