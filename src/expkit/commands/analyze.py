"""expkit analyze: what a log's analyzer prints, from a run's records."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.errors import UserError
from expkit.records.run.find_run import find_run
from expkit.reports.run.analysis import analysis_screen, stage_curves
from expkit.reports.run.run_screen import handle
from expkit.terminal.arguments import Parser, add_json
from expkit.terminal.json_output import print_document


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit analyze",
        description="Best and latest of each split, the gap, and where the held-out loss turned.",
    )
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a run's name, or last"
    )
    add_json(parser)
    arguments = parser.parse_args(words)
    run = find_run(arguments.run)
    stages = stage_curves(run)
    if not stages and run.exported is not None:
        raise run.exported.refuse("it has no epochs of training", "expkit analyze RUN")
    if not stages:
        raise UserError(
            f"'{run.name}' has no epoch of training to analyze",
            where=str(run.path),
            fix=f"expkit show {handle(run.path)}   (how far it came)",
        )
    if arguments.json:
        from expkit.reports.json.analysis import analysis_document

        print_document(analysis_document(run, stages))
    else:
        print(analysis_screen(run.name, stages))
    return 0
