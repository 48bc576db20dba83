"""expkit prune: remove the checkpoints that finished runs need no more."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.records.find_runs import find_runs
from expkit.records.upkeep.pruning import Prunable, find_prunable, prune
from expkit.reports.formatting import memory
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser
from expkit.terminal.question import confirmed


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit prune",
        description="Remove all checkpoints of finished runs but the best weights of each stage. "
        "They still predict, evaluate and export, and cannot go on training.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a run, a sweep, or a folder or glob of these"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    arguments = parser.parse_args(words)
    runs = [run for run in find_runs(arguments.runs) if run.exported is None]
    found = [find_prunable(run) for run in runs]
    open_ = [each for each in found if each.files]
    for each in found:
        if line := _line(each):
            print(line)
    count, total = sum(len(each.files) for each in open_), sum(each.num_bytes for each in open_)
    what = f"{count} checkpoint{'s' * (count != 1)} of {len(open_)} run{'s' * (len(open_) != 1)}"
    what = f"{what}, {memory(total)} ({total:,} bytes)"
    if not open_ or arguments.dry_run:
        print(f"would remove {what}" if open_ else "nothing to remove")
        return 0
    where = " ".join(["expkit prune", *words])
    if not confirmed(f"Remove {what}?", is_sure=arguments.yes, where=where):
        print("nothing was removed")
        return 1
    for each in open_:
        prune(each)
    print(f"removed {what}")
    return 0


def _line(found: Prunable) -> str:
    """What goes of a run, or why nothing does; none of one without checkpoints to spare."""
    if found.files:
        names = ", ".join(one_line(f"{path.parent.name}/{path.name}") for path in found.files)
        return f"{found.run.name}: {names}, {memory(found.num_bytes)}"
    return f"{found.run.name}: left as it is: {found.why_not}" if found.why_not else ""
