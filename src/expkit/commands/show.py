"""expkit show: what a run or a sweep came to on one screen, also while it runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

from expkit.records.exported import VERIFICATION, ExportedFolder
from expkit.records.files import read_json
from expkit.records.run.reader import Run
from expkit.records.sweep.folder import Sweep, find_run_or_sweep
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser


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
    arguments = parser.parse_args(words)
    found = find_run_or_sweep(arguments.run)
    if isinstance(found, Run):
        from expkit.reports.run.run_screen import closing_screen, labelled
        from expkit.reports.run.summary import recall

        print(closing_screen(recall(found), found.path))
        if found.exported is not None:
            print("\n".join(labelled("file", _proof(found.exported))))
    else:
        _show_sweep(found, watch=arguments.watch or sys.stderr.isatty())
    return 0


def _proof(exported: ExportedFolder) -> str:
    """The exported file, and the outcome of its verification."""
    proof = read_json(exported.path / VERIFICATION)
    verdict = "verified" if proof.get("passed") is True else "NOT GOOD: its verification failed"
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
