"""expkit predict: what a run's model predicts for new image files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.data.store import folder_tree
from expkit.errors import UserError
from expkit.records.csv_cells import csv_text
from expkit.records.files import write_output
from expkit.records.run.predictions import UNDECODABLE
from expkit.records.run.reader import Run, find_run
from expkit.records.run.thresholds import FILE, Threshold, decide, read_thresholds
from expkit.records.run.writer import explain_disk_errors
from expkit.runner.prediction_manner import Manner
from expkit.runner.run import EXIT_FAILED, EXIT_PASSED, without_collector
from expkit.terminal.arguments import Parser, add_manner, count, place

if TYPE_CHECKING:
    from expkit.runner.inference import FilePrediction

DESCRIPTION = """\
Predict new images, decoded and normalized as the run's own were. Where the run has a
temperature (expkit calibrate), the probabilities are at it; where it has confirmed
thresholds (expkit threshold) of such probabilities, the decision by them is given too."""
COLUMNS = """\
columns on the screen and in --csv:
  file               as it was given, or found below a folder
  prediction         the most probable class
  confidence         its probability, 0 to 1
  decision           the class by the confirmed thresholds, or maybe; empty without any
  top2, top2_confidence, top3, ...
                     the next classes, as many as --top asks for
  uncertainty        the entropy of its noisy predictions, of a model that predicts noise
  CLASS, ...         the probability of each class (in --csv only)
  probabilities      the temperature and the views that made them; only where there are any
  error              why the file could not be read; the others are empty then
of a model that predicts numbers: file, a column a number, error"""


def main(words: Sequence[str]) -> int:
    parser = Parser(
        "expkit predict",
        description=DESCRIPTION,
        epilog=COLUMNS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run", help="a path, a unique part of a run's name, or last; an exported folder"
    )
    parser.add_argument("files", nargs="+", type=place, metavar="FILE|FOLDER")
    parser.add_argument("--csv", type=place, metavar="OUT", help="write the table there")
    parser.add_argument(
        "--top", type=count, default=3, metavar="K", help="name the K most probable classes (3)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="not the run's")
    parser.add_argument("--batch", type=count, default=64, help="images at once (default 64)")
    add_manner(parser)
    parser.add_argument(
        "--trust", action="append", default=[], help="a package whose code the config may run"
    )
    arguments = parser.parse_args(words)
    run = find_run(arguments.run)
    run.weights  # noqa: B018 - whether there are any is asked before torch is loaded
    paths = list_images(arguments.files)
    _check_target(arguments.csv)
    manner = Manner.of(run, arguments.tta, is_plain=arguments.no_calibration)
    table = Table.of(run, arguments.top, manner, every=arguments.csv is not None)
    for remark in filter(None, (manner.remark, manner.cost)):
        print(f"note: {remark}", file=sys.stderr)
    with without_collector():
        from expkit.models.uncertainty import predicts_uncertainty
        from expkit.runner.inference import predict_files
        from expkit.runner.restoring import restore

    device = {"name": arguments.device} if arguments.device else {}
    restored = restore(
        run,
        trusted=arguments.trust,
        device=device,
        temperature=manner.temperature,
        views=manner.views,
    )
    table = replace(table, has_uncertainty=predicts_uncertainty(restored.model))
    predictions = predict_files(restored, paths, arguments.batch)
    rows = [table.row(prediction) for prediction in predictions]
    for name, reason in table.unused.items():
        print(f"not used: the threshold of {name}, which is {reason}", file=sys.stderr)
    return tell(rows, table.header, arguments.csv)


@dataclass(frozen=True)
class Table:
    """The columns of a run's predictions; their number depends on its classes and on --top."""

    class_names: Sequence[str] | None
    target_names: Sequence[str]
    top: int
    every: bool  # with the probability of each class
    thresholds: Sequence[Threshold]
    unused: Mapping[str, str]  # classes whose thresholds do not hold here, with the reason
    manner: str  # of the probabilities, where it is not plain
    has_uncertainty: bool = False

    @classmethod
    def of(cls, run: Run, top: int, manner: Manner, *, every: bool) -> Table:
        names = run.dataset.class_names
        kept = read_thresholds(run.path)
        if kept and tuple(kept[0].class_names) != tuple(names or ()):
            raise UserError(
                "the thresholds of this run are for other classes",
                where=str(run.path / FILE),
                fix="remove the file, and choose them anew: expkit threshold RUN --class NAME ...",
            )
        unused = {each.class_name: _why_not(each, manner) for each in kept}
        return cls(
            class_names=names,
            target_names=run.dataset.target_names or (),
            top=min(top, len(names or ())),
            every=every,
            thresholds=[each for each in kept if not unused[each.class_name]],
            unused={name: reason for name, reason in unused.items() if reason},
            manner=str(manner),
        )

    @property
    def header(self) -> list[str]:
        if self.class_names is None:
            return ["file", *self.target_names, "error"]
        ranks = range(2, self.top + 1)
        others = [column for k in ranks for column in (f"top{k}", f"top{k}_confidence")]
        each = self.class_names if self.every else ()
        uncertainty = ["uncertainty"] if self.has_uncertainty else []
        manner = ["probabilities"] if self.manner else []
        first = ["file", "prediction", "confidence", "decision"]
        return [*first, *others, *uncertainty, *each, *manner, "error"]

    def row(self, prediction: FilePrediction) -> list[str]:
        """One file's cells in the header's order; one that could not be read has a reason."""
        if prediction.outputs is None:
            return [str(prediction.path), *[""] * (len(self.header) - 2), prediction.error]
        numbers = [f"{number:.6g}" for number in prediction.outputs.tolist()]
        if self.class_names is None:
            return [str(prediction.path), *numbers, ""]
        order = (-prediction.outputs).argsort(kind="stable")[: self.top].tolist()
        first, *others = [(self.class_names[i], numbers[i]) for i in order]
        decision = decide(self.thresholds, prediction.outputs[None])[0] if self.thresholds else ""
        ranked = [cell for pair in others for cell in pair]
        uncertainty = prediction.uncertainty
        return [
            str(prediction.path),
            *first,
            decision,
            *ranked,
            *([f"{uncertainty:.6g}"] if uncertainty is not None else []),
            *(numbers if self.every else ()),
            *([self.manner] if self.manner else ()),
            "",
        ]


def _why_not(threshold: Threshold, manner: Manner) -> str:
    """Say why a threshold does not hold for these probabilities; empty where it does."""
    if not threshold.is_confirmed:
        return "not confirmed"
    if manner.views:
        return "of predictions without --tta"
    if threshold.temperature != manner.temperature:
        return (
            f"of probabilities at temperature {threshold.temperature:.4g}, and these are at "
            f"{manner.temperature:.4g}: expkit threshold chooses it anew"
        )
    return ""


def _check_target(to: Path | None) -> None:
    """Find out now, and not after the images are paid for, that nothing can be written there."""
    if to is None:
        return
    folder = to.absolute().parent
    if to.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "it is a folder" if to.is_dir() else f"no file can be made in '{folder}'"
        raise UserError(f"cannot write '{to}': {reason}", where=f"--csv {to}", fix="--csv FILE")


def tell(rows: Sequence[Sequence[str]], header: Sequence[str], to: Path | None) -> int:
    """Write the table where it is wanted, and list what could not be read; the exit code."""
    failed = [row for row in rows if row[-1]]
    if to is not None:
        with explain_disk_errors(to.parent):
            write_output(to, as_csv([header, *rows]).encode(errors=UNDECODABLE))
        print(f"{len(rows) - len(failed)} of {len(rows)} images predicted: {to}")
    else:
        print(as_csv([header, *rows]), end="")
    for path, *_, reason in failed:
        print(f"not read: {path}: {reason}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_PASSED


def list_images(given: Sequence[Path]) -> list[Path]:
    """The files, and the images below the folders as other commands list them, in order."""
    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            paths += sorted(folder_tree.list_images(path)[0])
        elif path.is_file():
            paths.append(path)
        else:
            raise UserError(f"there is no file or folder '{path}'", where=str(path))
    if not paths:
        raise UserError(
            "no images were found",
            where=", ".join(map(str, given)),
            allowed="image files, or folders that hold some: PNG, JPEG, TIFF, WebP, ...",
        )
    return paths


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    return csv_text(rows)
