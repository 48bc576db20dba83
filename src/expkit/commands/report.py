"""expkit report: an experiment's page in the notebook, made from its runs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from expkit.records.folder import explain_disk_errors
from expkit.records.run import find_run
from expkit.reports.notebook import write_notebook


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "expkit report", description="Write FOLDER/README.md from runs; text under ## Notes stays."
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="the run in question, then those it is compared with"
    )
    parser.add_argument("--to", required=True, type=Path, metavar="FOLDER")
    arguments = parser.parse_args(words)
    runs = [find_run(text) for text in arguments.runs]
    with explain_disk_errors(arguments.to):
        print(write_notebook(runs, arguments.to))
    return 0
