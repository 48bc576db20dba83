"""expkit rm: remove runs and sweeps, if nobody is at them and nothing needs them."""

from __future__ import annotations

from collections.abc import Sequence

from expkit.errors import UserError
from expkit.records.find_runs import OUTPUTS
from expkit.records.upkeep.dependents import find_dependents
from expkit.records.upkeep.owned_folder import Found, find_owned, held, runs_of, size_of
from expkit.records.upkeep.removal import clear_half_removed, remove_folder
from expkit.reports.formatting import memory
from expkit.terminal.arguments import Parser
from expkit.terminal.question import confirmed

MAX_SAID = 8  # runs that need one, by name


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit rm", description="Remove runs and sweeps with all their files.")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a path, a unique part of a name, or last; a sweep"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--force", action="store_true", help="also what others evaluate, start from or are made of"
    )
    arguments = parser.parse_args(words)
    found = find_all(arguments.runs)
    where = " ".join(["expkit rm", *words])
    with held(found):
        if not arguments.force:
            refuse_needed(found, where)
        for each in found:
            print(f"{describe(each)}  {each.path}")
        total = memory(sum(map(size_of, found)))
        question = f"Remove {len(found)} folder{'s' * (len(found) > 1)}, {total}, for good?"
        if not confirmed(question, is_sure=arguments.yes, where=where):
            print("nothing was removed")
            return 1
        for each in found:
            clear_half_removed(each.path.parent)
            remove_folder(each.path)
    print(f"removed {len(found)} folder{'s' * (len(found) > 1)}, {total}")
    return 0


def find_all(words: Sequence[str]) -> list[Found]:
    """Return each once, and none that lies in another one."""
    found = {each.path.resolve(): each for each in map(find_owned, words)}
    return [each for path, each in found.items() if path.parent not in found]


def describe(found: Found) -> str:
    """`run, finished, 1.2 MB`, or the number of a sweep's runs."""
    runs = runs_of(found)
    kind = f"run, {runs[0].status}" if runs == [found] else f"sweep of {len(runs)} runs"
    return f"{kind}, {memory(size_of(found))}"


def refuse_needed(found: Sequence[Found], where: str) -> None:
    """Refuse what other runs need; those that lie beside it and in outputs/ are looked through."""
    paths = [each.path.absolute() for each in found]
    folders = [folder for path in paths for folder in (path.parent, path.parent.parent)]
    folders = [each for each in folders if each.is_dir()]
    needed = find_dependents(paths, [*folders, *([OUTPUTS] if OUTPUTS.is_dir() else [])])
    if needed:
        lines = dict.fromkeys(f"{each.name} {each.how} {each.path.name}" for each in needed)
        listed = list(lines)[:MAX_SAID]
        more = len(lines) - len(listed)
        raise UserError(
            "other runs need what would be removed",
            where=where,
            allowed="\n".join([*listed, *([f"and {more} more"] if more else [])]),
            fix="remove those with it, or add --force: they keep their figures, and cannot be "
            "resumed or asked for predictions",
        )
