"""expkit predict: what a run's model predicts for new image files."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.data.store.arriving_files import ArrivingFiles
from expkit.errors import UserError
from expkit.records.csv_cells import csv_text
from expkit.records.files import write_output
from expkit.records.run.checkpoint_digests import digest_of
from expkit.records.run.find_run import find_run
from expkit.records.run.predictions import UNDECODABLE
from expkit.records.run.reader import Run
from expkit.records.run.writer import explain_disk_errors
from expkit.reports.json.predictions import PredictedImage, PredictionsDocument
from expkit.runner.prediction_manner import Manner
from expkit.runner.prediction_table import PredictionTable, list_images
from expkit.runner.run import EXIT_FAILED, EXIT_PASSED, without_collector
from expkit.sanitize import one_line
from expkit.terminal.arguments import Parser, add_json, add_manner, count, duration, place
from expkit.terminal.json_output import print_with_rows

if TYPE_CHECKING:
    from expkit.runner.inference import FilePrediction
    from expkit.runner.restoring import Restored

DESCRIPTION = """\
Predict new images, decoded and normalized as the run's own were. Where the run has a
temperature (expkit calibrate), the probabilities are at it; where it has confirmed
thresholds (expkit threshold) of such probabilities, the decision by them is given too."""
LONGEST_SECONDS = 86400  # between two looks at a followed folder
COLUMNS = """\
columns on the screen and in --csv:
  file               as it was given, or found below a folder
  prediction         the most probable class
  confidence         its probability, 0 to 1
  decision           the class by the confirmed thresholds, or maybe; empty without any
  top2, top2_confidence, top3, ...
                     the next classes, as many as --top asks for
  uncertainty        the entropy of its noisy predictions, of a model that predicts noise
  CLASS, ...         the probability of each class (in --csv only); class:CLASS where another
                     column is called so, as of a class `error`
  probabilities      the temperature and the views that made them; only where there are any
  error              why the file could not be read; the others are empty then
of a model that predicts numbers: file, a column a number (number:NAME as above), error
with --follow, file is absolute, and further columns are added:
  mean_CHANNEL, ..., grain
                     the image as the model was given it: levels 0 to 255, and fine detail
  bytes, modified_ns what the file is known again by, besides its name
  predicted_at       the local time"""


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
    parser.add_argument(
        "--follow", action="store_true", help="go on: predict new images of the folder as they come"
    )
    parser.add_argument(
        "--every", type=duration, metavar="SECONDS", help="of --follow: look again (1)"
    )
    add_json(parser)
    arguments = parser.parse_intermixed_args(words)
    _check_following(arguments)
    run = find_run(arguments.run)
    run.weights  # noqa: B018 - whether there are any is asked before torch is loaded
    paths = [] if arguments.follow else list_images(arguments.files)
    _check_target(arguments.csv)
    manner = Manner.of(run, arguments.tta, is_plain=arguments.no_calibration)
    table = PredictionTable.of(run, arguments.top, manner, every=arguments.csv is not None)
    for remark in filter(None, (manner.remark, manner.cost)):
        print(f"note: {remark}", file=sys.stderr)
    if arguments.follow:
        return _follow(run, manner, table, arguments)
    restored = _restore(run, manner, arguments)
    from expkit.runner.inference import predict_files

    table = table.of_model(restored)
    predictions = predict_files(restored, paths, arguments.batch)
    if arguments.json:
        table.tell_unused()
        return _print_json(run, table, predictions)
    rows = [table.row(prediction) for prediction in predictions]
    table.tell_unused()
    return tell(rows, table.header, arguments.csv)


def _print_json(run: Run, table: PredictionTable, predictions: Iterable[FilePrediction]) -> int:
    """Print a document once all images are predicted; the exit code."""
    num_images = num_failed = 0

    def images() -> Iterator[PredictedImage]:
        nonlocal num_images, num_failed
        for prediction in predictions:
            num_images += 1
            num_failed += prediction.outputs is None
            yield table.image(prediction)

    def document() -> PredictionsDocument:
        return PredictionsDocument(
            run=run.name,
            path=str(run.path),
            class_names=table.class_names,
            probabilities=table.manner or None,
            thresholds=[each.class_name for each in table.thresholds],
            unused_thresholds=table.unused,
            num_images=num_images,
            num_failed=num_failed,
            predictions=(),
        )

    print_with_rows(images(), document)
    return EXIT_FAILED if num_failed else EXIT_PASSED


def _restore(run: Run, manner: Manner, arguments: argparse.Namespace) -> Restored:
    with without_collector():
        from expkit.runner.restoring import restore

    device = {"name": arguments.device} if arguments.device else {}
    return restore(
        run,
        trusted=arguments.trust,
        device=device,
        temperature=manner.temperature,
        views=manner.views,
    )


def _follow(run: Run, manner: Manner, table: PredictionTable, arguments: argparse.Namespace) -> int:
    """Predict what is new in the folder, until it is interrupted."""
    from expkit.records.followed_csv import FollowedCsv, FollowSettings
    from expkit.runner.drift_reference import channel_names, watch_drift

    folder = arguments.files[0].absolute()
    settings = FollowSettings(
        run=run.name,
        weights_sha256=digest_of(run.weights),
        folder=str(folder),
        temperature=manner.temperature,
        views=list(manner.views),
        thresholds=[f"{e.class_name}: {e.low}, {e.high}" for e in table.thresholds],
        names=list(table.class_names or table.target_names),
        top=table.top,
    )
    drift, remarks = watch_drift(run, manner)
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    with FollowedCsv.open(arguments.csv, settings) as csv:
        restored = _restore(run, manner, arguments)
        from expkit.runner.followed_folder import Follower, columns_behind, follow
        from expkit.runner.inference import predict_files

        channels = channel_names(run)
        table = replace(table.of_model(restored), further=columns_behind(channels))
        follower = Follower(
            files=ArrivingFiles(folder),
            csv=csv,
            header=table.header,
            channels=channels,
            has_classes=table.class_names is not None,
            predict=lambda paths: predict_files(restored, paths, arguments.batch),
            row_of=table.row,
            drift=drift,
            batch_size=arguments.batch,
        )
        follower.begin()
        table.tell_unused()
        follow(follower, arguments.every or 1.0)
    return EXIT_PASSED


def _check_following(arguments: argparse.Namespace) -> None:
    """Refuse --follow without what it needs, and what needs --follow without it."""
    if arguments.json and (arguments.follow or arguments.csv is not None):
        raise UserError(
            "--json prints one document, once all images are predicted: --csv and --follow write "
            "rows",
            where=f"--json {'--follow' if arguments.follow else '--csv'}",
            fix=f"expkit predict {shlex.quote(arguments.run)} FILE --json",
        )
    words = shlex.join(str(path) for path in arguments.files)
    command = f"expkit predict {shlex.quote(arguments.run)} {words} --follow --csv OUT.csv"
    if not arguments.follow:
        if arguments.every is not None:
            raise UserError("--every goes with --follow", where="--every", fix=command)
        return
    if arguments.every is not None and arguments.every > LONGEST_SECONDS:
        raise UserError(
            f"--every cannot be {arguments.every:g}",
            where="--every",
            allowed=f"up to {LONGEST_SECONDS} seconds, a day",
        )
    if len(arguments.files) > 1 or not arguments.files[0].is_dir():
        raise UserError(
            "--follow takes one folder, and that folder has to be there",
            where=words,
            fix=f"expkit predict {shlex.quote(arguments.run)} FOLDER --follow --csv OUT.csv",
        )
    if arguments.csv is None:
        raise UserError(
            "--follow needs --csv: the rows there are what says which images are done",
            where="--follow",
            fix=command,
        )


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
        print(f"not read: {one_line(path)}: {one_line(reason)}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_PASSED


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    return csv_text(rows)
