"""expkit plot: a run's pages and pictures, drawn again from its records."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from expkit.records.folder import explain_disk_errors
from expkit.records.run import find_run
from expkit.reports.pages import refresh


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "expkit plot", description="Draw a run's pictures, report and tables from its records."
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a run's name, or last"
    )
    run = find_run(parser.parse_args(words).run)
    with explain_disk_errors(run.path):
        refresh(run.path, plots=True)
    for path in sorted((run.path / "plots").glob("*.png")):
        print(path)
    return 0
