"""expkit note: a dated note on a run or a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.errors import UserError
from expkit.records.run.annotations import add_note
from expkit.records.run.writer import explain_disk_errors
from expkit.records.sweep.folder import find_run_or_sweep
from expkit.reports.run.noted import noted_of, screen_lines
from expkit.reports.run.pages import rewrite_report
from expkit.terminal.arguments import Parser

MAX_CHARACTERS = 10_000


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit note", description="Add a dated note to a run or a sweep, or read its notes."
    )
    parser.add_argument("run", metavar="RUN", help="a path, a unique part of a name, or last")
    parser.add_argument("text", nargs="*", help="the note; without it those that there are")
    arguments = parser.parse_args(words)
    found = find_run_or_sweep(arguments.run)
    text = " ".join(arguments.text).strip()
    if arguments.text:
        _refuse_odd(text, arguments.run)
        with explain_disk_errors(found.path, key=""):
            add_note(found.path, text)
            rewrite_report(found)
    lines = screen_lines(noted_of(found))
    print("\n".join([found.name, *(lines or ["  no tags and no notes"])]))
    return 0


def _refuse_odd(text: str, run: str) -> None:
    if not text or len(text) > MAX_CHARACTERS:
        raise UserError(
            "a note has some text" if not text else f"the note has {len(text):,} characters",
            where=f"expkit note {run}",
            allowed=f"1 to {MAX_CHARACTERS:,} characters",
            fix=f'expkit note {run} "what you found"',
        )
