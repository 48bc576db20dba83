"""expkit predict: what a run's model says to new picture files."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.commands.arguments import Parser, count, place
from expkit.commands.running import EXIT_FAILED, EXIT_PASSED, without_collector
from expkit.data.picture_tree import picture_suffixes
from expkit.errors import UserError
from expkit.records.files import write_aside
from expkit.records.folder import explain_disk_errors
from expkit.records.run import Run, find_run
from expkit.records.thresholds import Threshold

if TYPE_CHECKING:
    from expkit.procedures.prediction import Answer

DESCRIPTION = (
    "Predict new pictures, decoded and normalised as the run's own were. Where the run has a "
    "threshold (expkit threshold), its decision is given too."
)


def main(words: Sequence[str]) -> int:
    parser = Parser("expkit predict", description=DESCRIPTION)
    parser.add_argument("run", help="a path, a unique part of a run's name, or last")
    parser.add_argument("files", nargs="+", type=place, metavar="FILE|FOLDER")
    parser.add_argument("--csv", type=place, metavar="OUT", help="write all probabilities there")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="not the run's")
    parser.add_argument("--batch", type=count, default=64, help="pictures at once (default 64)")
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    arguments = parser.parse_args(words)
    run = find_run(arguments.run)
    run.weights  # noqa: B018 - whether there are any is asked before torch is loaded
    paths = list_pictures(arguments.files)
    _check_target(arguments.csv)
    with without_collector():
        from expkit.procedures.prediction import predict_files
        from expkit.procedures.restoring import restore

    device = {"name": arguments.device} if arguments.device else {}
    restored = restore(run, trusted=arguments.trust, device=device)
    answers = predict_files(restored, paths, arguments.batch)
    threshold = Threshold.read(run.path)
    return tell(list(rows_of(answers, run, threshold)), header_of(run, threshold), arguments.csv)


def _check_target(to: Path | None) -> None:
    """Find out now, and not after the pictures are paid for, that nothing can be written there."""
    if to is None:
        return
    folder = to.absolute().parent
    if to.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "it is a folder" if to.is_dir() else f"no file can be made in '{folder}'"
        raise UserError(f"cannot write '{to}': {reason}", where=f"--csv {to}", fix="--csv FILE")


def header_of(run: Run, threshold: Threshold | None) -> list[str]:
    """The columns; numbers have no prediction beside them, and not every run has a threshold."""
    names = run.dataset.class_names
    decision = ["decision"] if threshold is not None else []
    if names is None:
        return ["file", *(run.dataset.target_names or ()), "error"]
    return ["file", "prediction", *decision, *names, "error"]


def tell(rows: Sequence[Sequence[str]], header: Sequence[str], to: Path | None) -> int:
    """Write the table where it is wanted, and list what could not be read; the exit code."""
    failed = [row for row in rows if row[-1]]
    if to is not None:
        with explain_disk_errors(to.parent):
            write_aside(to, as_csv([header, *rows]).encode())
        print(f"{len(rows) - len(failed)} of {len(rows)} pictures answered: {to}")
    else:
        print(as_csv([header, *rows]), end="")
    for path, *_, reason in failed:
        print(f"not read: {path}: {reason}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_PASSED


def list_pictures(given: Sequence[Path]) -> list[Path]:
    """The files, and all pictures below the folders, in order."""
    suffixes = picture_suffixes()
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            found = [p for p in path.rglob("*") if p.suffix.lower() in suffixes and p.is_file()]
            paths += sorted(found)
        elif path.is_file():
            paths.append(path)
        else:
            raise UserError(f"there is no file or folder '{path}'", where=str(path))
    if not paths:
        raise UserError(
            "no pictures were found",
            where=", ".join(map(str, given)),
            allowed="picture files, or folders that hold some: PNG, JPEG, TIFF, WebP, ...",
        )
    return paths


def rows_of(
    answers: Iterable[Answer], run: Run, threshold: Threshold | None
) -> Iterator[list[str]]:
    """A row a file, in the header's order; one that could not be read has a reason instead."""
    width = len(header_of(run, threshold))
    names = run.dataset.class_names
    for answer in answers:
        row = [str(answer.path)]
        if answer.outputs is None:
            yield [*row, *[""] * (width - 2), answer.error]
            continue
        if names is not None:
            row.append(names[int(answer.outputs.argmax())])
        if threshold is not None:
            row += threshold.decide(answer.outputs[None])
        yield [*row, *(f"{number:.6g}" for number in answer.outputs.tolist()), ""]


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
