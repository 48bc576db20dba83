"""expkit show: what a run or a sweep came to on one screen, also while it runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from expkit.records.exported import VERIFICATION, ExportedFolder
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep, find_run_or_sweep
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser, add_json
from expkit.terminal.json_output import print_document


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit show",
        description="A run's or a sweep's results on one screen; on a terminal, a sweep under way "
        "is followed until it ends (Ctrl-C leaves it running).",
    )
    parser.add_argument(
        "run",
        nargs="?",
        default="last",
        help="a path, a unique part of a name, or last; an exported folder",
    )
    parser.add_argument(
        "-w", "--watch", action="store_true", help="follow a sweep also where no terminal is"
    )
    add_json(parser)
    arguments = parser.parse_args(words)
    found = find_run_or_sweep(arguments.run)
    if arguments.json:
        _print_json(found)
    elif isinstance(found, Run):
        from expkit.reports.run.run_screen import closing_screen, labelled
        from expkit.reports.run.summary import recall

        print(closing_screen(recall(found), found.path))
        if found.exported is not None:
            print("\n".join(labelled("file", _proof(found.exported))))
    else:
        _show_sweep(found, watch=arguments.watch or sys.stderr.isatty())
    from expkit.reports.run.noted import noted_of, screen_lines

    for line in screen_lines(noted_of(found)):
        print(line)
    return 0


def _print_json(found: Run | Sweep) -> None:
    """Print a document as the records are now; nothing is waited for."""
    if isinstance(found, Run):
        from expkit.reports.json.run import run_document

        print_document(run_document(found))
    else:
        from expkit.reports.json.sweep import sweep_document
        from expkit.reports.sweep.outcome import SweepOutcome

        is_running = found.is_running
        print_document(sweep_document(SweepOutcome.of(found.path), is_running=is_running))


def _proof(exported: ExportedFolder) -> str:
    """The exported file, and the outcome of its verification."""
    verdict = "verified" if exported.is_verified else "NOT GOOD: its verification failed"
    size = f"{exported.num_bytes / 1e6:.1f} MB"
    origin = one_line(exported.record.run)
    return f"{exported.title}, {size}, exported from {origin}; {verdict} ({VERIFICATION})"


def _show_sweep(sweep: Sweep, *, watch: bool) -> None:
    from expkit.reports.sweep.outcome import SweepOutcome
    from expkit.reports.sweep.sweep_screen import closing_screen

    if sweep.is_running and watch:
        from expkit.sweeps.live_view import follow

        with contextlib.suppress(KeyboardInterrupt):
            follow(sweep)
    elif sweep.is_running:
        from expkit.reports.sweep.progress import SweepProgress

        progress = SweepProgress(sweep.path)
        progress.look()
        print("\n".join([progress.headline(), *progress.running_lines()]))
    print(closing_screen(SweepOutcome.of(sweep.path), is_running=sweep.is_running))
