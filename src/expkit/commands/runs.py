"""expkit runs: every run and sweep of a folder, a line each."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from expkit.errors import UserError
from expkit.records.find_runs import OUTPUTS
from expkit.records.run.find_run import run_at
from expkit.records.run.writer import explain_disk_errors
from expkit.reports.compare.filter import keep_where
from expkit.reports.html.index_page import write_index
from expkit.reports.run.run_screen import short
from expkit.reports.runs.entries import RunEntry
from expkit.reports.runs.listing import list_entries
from expkit.reports.runs.runs_screen import COLUMNS, DEFAULT, runs_screen, sort_entries
from expkit.terminal.arguments import Parser, add_json, add_where, each_where, place
from expkit.terminal.json_output import print_with_rows


def main(words: Sequence[str]) -> int:
    arguments = _parser().parse_args(each_where(words))
    if arguments.json:
        _refuse_beside_json(arguments)
    _refuse_no_folder(arguments.folder)
    looks_inside = arguments.all or bool(arguments.where)
    entries = list_entries(arguments.folder, inside_sweeps=looks_inside)
    if not entries and not arguments.json:
        print(f"no runs in {arguments.folder}: expkit train makes the first")
        return 0
    if arguments.html:
        with explain_disk_errors(arguments.folder, key=""):
            print(short(write_index(arguments.folder)))
        return 0
    entries = keep_where(entries, arguments.where) if entries else []
    if arguments.sort is not None:
        entries = sort_entries(entries, arguments.sort)
    if arguments.json:
        _print_json(entries, arguments)
        return 0
    columns = DEFAULT if arguments.columns is None else _columns(arguments.columns)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(runs_screen(entries, columns, width))
    return 0


def _parser() -> Parser:
    parser = Parser(
        "expkit runs",
        description="Every run and sweep of a folder, a line each, the newest last.",
    )
    parser.add_argument(
        "folder",
        nargs="?",
        type=place,
        default=OUTPUTS,
        metavar="FOLDER",
        help="default: outputs; also a sweep, whose runs are listed",
    )
    add_where(parser)
    parser.add_argument(
        "--sort",
        metavar="KEY",
        help="the largest last: a column, a key of the config, or a metric; --sort=-KEY the other "
        "way around",
    )
    parser.add_argument(
        "--columns",
        metavar="A,B",
        help=f"{', '.join(COLUMNS)}, keys of the config and metrics, as optimizer.lr,val/accuracy",
    )
    parser.add_argument(
        "-a",
        "--all",
        action="store_true",
        help="the runs of each sweep, too, as a --where has them anyway",
    )
    parser.add_argument(
        "--html",
        action="store_true",
        help="write FOLDER/index.html, which filters, sorts and compares them in a browser",
    )
    add_json(parser)
    return parser


def _print_json(entries: Sequence[RunEntry], arguments: argparse.Namespace) -> None:
    from expkit.reports.json.runs import RunsDocument, listed_run

    folder, where = str(arguments.folder), list(arguments.where)
    print_with_rows(
        (listed_run(entry) for entry in entries),
        lambda: RunsDocument(folder=folder, where=where, runs=()),
    )


def _refuse_beside_json(arguments: argparse.Namespace) -> None:
    for flag, given in (("--columns", arguments.columns is not None), ("--html", arguments.html)):
        if given:
            raise UserError(
                f"{flag} does not go together with --json, which has all that is known of a run",
                where=f"expkit runs {flag} --json",
                fix=f"leave out {flag}",
            )


def _columns(text: str) -> list[str]:
    """The columns between commas; the name stands first in any case."""
    names = [name for name in (part.strip() for part in text.split(",")) if name]
    return list(dict.fromkeys(["name", *names]))


def _refuse_no_folder(folder: Path) -> None:
    if run_at(folder) is not None:
        raise UserError(
            f"'{folder}' is one run, and no folder of runs",
            where=f"expkit runs {folder}",
            fix=f"expkit show {folder}",
        )
    if folder == OUTPUTS and not folder.exists():
        return
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UserError(
            f"'{folder}' cannot be listed: {(error.strerror or str(error)).lower()}",
            where=f"expkit runs {folder}",
            fix="name a folder of runs or a sweep: expkit runs outputs",
        ) from error
