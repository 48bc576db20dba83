"""expkit archive: copy runs and sweeps as a whole, or move them there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from expkit.commands.rm import find_all, refuse_needed
from expkit.errors import UserError
from expkit.records.run.writer import explain_disk_errors
from expkit.records.upkeep.archive import SUFFIXES, archive, is_tar
from expkit.records.upkeep.owned_folder import held, size_of
from expkit.records.upkeep.removal import remove_folder
from expkit.reports.formatting import memory
from expkit.reports.runs.entries import kind_of
from expkit.terminal.arguments import Parser, place
from expkit.terminal.question import confirmed


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit archive",
        description="Copy runs and sweeps, whole and proved by checksums, into a new tar file or "
        "into a folder; with --move the originals go once the copy is proved.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="a path, a unique part of a name, or last; a sweep"
    )
    parser.add_argument(
        "--to", type=place, required=True, metavar="FILE.tar.gz|FOLDER", help="where they go"
    )
    parser.add_argument("--move", action="store_true", help="remove the originals afterwards")
    parser.add_argument("-y", "--yes", action="store_true", help="with --move: do not ask")
    parser.add_argument("--force", action="store_true", help="with --move: also what others need")
    arguments = parser.parse_args(words)
    found, target, where = find_all(arguments.runs), arguments.to, " ".join(["archive", *words])
    _refuse_target(target, [each.path for each in found])
    what = f"{len(found)} folder{'s' * (len(found) > 1)}, {memory(sum(map(size_of, found)))}"
    with held(found):
        if arguments.move and not arguments.force:
            refuse_needed(found, where)
        if arguments.move and not confirmed(
            f"Move {what} to {target}?", is_sure=arguments.yes, where=where
        ):
            print("nothing was moved")
            return 1
        with explain_disk_errors(target, "--to "):
            sums = archive([each.path for each in found], target)
        if arguments.move:
            for each in found:
                remove_folder(each.path)
    done = "moved" if arguments.move else "copied"
    print(f"{done} {what} to {target}: {len(sums)} files, SHA-256 of each proved")
    if is_tar(target):
        print(f"read it again: tar -xf {target}, then expkit runs .")
    return 0


def _refuse_target(target: Path, folders: Sequence[Path]) -> None:
    """Refuse a file that is there, one of another kind, and a target inside of what it is of."""
    names = [path.name for path in folders]
    why = None
    if any(target.resolve().is_relative_to(path.resolve()) for path in folders):
        why = "it lies in the run itself"
    elif len(set(names)) < len(names):
        why = "two of the folders have one name"
    elif is_tar(target) and target.exists():
        why = "it is there already, and is not written over"
    elif not is_tar(target) and (target.is_file() or target.suffix in (".zip", ".gz")):
        why = f"it is no folder, and ends in none of {', '.join(SUFFIXES)}"
    elif is_tar(target) and not target.absolute().parent.is_dir():
        why = "its folder is not there"
    elif kind_of(target.parent if is_tar(target) else target) is not None:
        why = "it lies in a run or a sweep, to which nothing is added"
    if why is not None:
        raise UserError(
            f"'{target}' cannot be the archive: {why}",
            where=f"--to {target}",
            fix="--to NEW.tar.gz, or --to FOLDER",
        )
