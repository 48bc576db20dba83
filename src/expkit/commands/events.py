"""expkit events: what happens in a run or a sweep, a JSON line each, for a program that follows."""

from __future__ import annotations

import time
from collections.abc import Sequence

from expkit.records.run.reader import Run
from expkit.records.sweep.folder import find_run_or_sweep
from expkit.reports.events.run_events import RunEvents
from expkit.reports.events.sweep_events import SweepEvents
from expkit.reports.json.event import EndEvent
from expkit.terminal.arguments import Parser
from expkit.terminal.json_output import print_document, refuse_closed

LOOK_SECONDS = 0.5
DESCRIPTION = (
    "What happens in a run, or to the jobs of a sweep, as JSON: a line for the beginning, each "
    "epoch, stage, finding or change of a job, and the end (docs/json.md). Errors are JSON, too. "
    "Exit code 0 where all passed, or where it goes on and is not followed; 1 where not."
)


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit events", description=DESCRIPTION)
    parser.add_argument(
        "run", nargs="?", default="last", help="a path, a unique part of a name, or last"
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="wait for what comes, until the run ends or is killed",
    )
    arguments = parser.parse_args(words)
    found = find_run_or_sweep(arguments.run)
    events = RunEvents(found) if isinstance(found, Run) else SweepEvents(found)
    print_document(events.begin(), is_line=True)
    while True:
        # asked first: what the process wrote before it ended is then in its files
        is_last = not arguments.follow or events.is_over
        for event in events.look(is_last=is_last):
            print_document(event, is_line=True)
        if is_last:
            break
        refuse_closed()
        time.sleep(LOOK_SECONDS)
    code = 0
    for event in events.end():
        print_document(event, is_line=True)
        code = event.exit_code if isinstance(event, EndEvent) else code
    return code
