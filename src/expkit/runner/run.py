"""One run, trained or resumed: from a config to an exit code."""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from expkit.config.run_request import Request
from expkit.config.schema import Config
from expkit.config.stage_parts import as_typed
from expkit.config.user_code import hash_own_code
from expkit.config.validation import check_others
from expkit.errors import UserError
from expkit.loggers.chosen import check_loggers
from expkit.loggers.followers import Followers
from expkit.records.run.environment import describe_environment
from expkit.records.run.mirror import Mirror
from expkit.records.run.reader import Run
from expkit.records.run.writer import RunFolder, explain_disk_errors, name_folder, refuse_unwritable
from expkit.records.safe_open import make_inside
from expkit.records.sweep.job import job_id
from expkit.runner.starting_weights import resolve_starts, starts_of
from expkit.sanitize import one_line
from expkit.terminal.progress import Progress, ReadingBar

if TYPE_CHECKING:
    from expkit.records.run.metadata import DatasetMetadata
    from expkit.runner.components import Parts
    from expkit.runner.session import Session
    from expkit.training.loop import TrainEpochs

Build = Callable[[Config], "Parts"]
EXIT_PASSED, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_request(request: Request, began: Callable[[Path], object] = lambda path: None) -> int:
    """Build everything, then make the folder, then run: what is wrong leaves no folder behind.

    `began` is told of the folder once it is there.
    """
    check_places(request.config)
    check_loggers(request.config.logger, request.config.trust)
    config = resolve_starts(request.config)
    parts = build(config)
    command = ["expkit", "train", *as_typed(sys.argv[1:])]  # Hydra has "expkit train" as word 0
    folder = make_folder(parts, config, request.overrides, command, request.choices)
    began(folder.path)
    mirror = Mirror.of(config.mirror, folder.path)
    followers = Followers.start(folder.path, config.logger, config.trust)
    return run_experiment(parts, folder, mirror=mirror, followers=followers)


def check_places(config: Config) -> None:
    """Find out now, and not after the data is read, that nothing can be written somewhere."""
    check_output(Path(config.output_dir))
    if config.mirror.get("folder") is not None:
        check_mirror(Path(config.mirror["folder"]))


def check_mirror(folder: Path) -> None:
    """Find out now that a mirror cannot be made: the run itself would go on without it."""
    refuse_unwritable(folder, "mirror=")


def check_output(parent: Path) -> None:
    """Find out now that nothing can be written to a folder, or that it cannot be made."""
    with explain_disk_errors(parent):
        nearest = next(path for path in (parent, *parent.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(nearest))


def build(config: Config) -> Parts:
    """All parts of a run; the data is read, and refused, before torch is loaded."""
    from expkit.diagnosis.examine import load_rules
    from expkit.runner.loaded_inputs import load_inputs

    load_rules()
    look = functools.cache(lambda: check_others(config))
    with without_collector():
        with contextlib.closing(ReadingBar()) as bar:

            def watch(what: str, done: int, total: int) -> None:
                look()  # a wrong argument of a library's class is told before a long reading
                bar(what, done, total)

            inputs = load_inputs(config, watch)
        look()
        from expkit.runner.components import build_parts

        return build_parts(inputs)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Torch's modules are millions of objects that stay: looking for garbage costs 0.4 s."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def make_folder(
    parts: Parts,
    config: Config,
    overrides: Sequence[str],
    command: Sequence[str],
    choices: Mapping[str, str] | None = None,
    *,
    like: str | None = None,
) -> RunFolder:
    """The run folder with everything that was known before the first step.

    `like` is the run whose config it has.
    """
    from expkit.runner.loaded_inputs import encode_images
    from expkit.runner.sealed_test import begin_ledger
    from expkit.runner.unlabelled_images import describe_unlabelled

    plain = config.to_plain()
    config_text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    environment = describe_environment(
        command,
        parts.device.reason,
        hash_text(config_text),
        job_id(plain),
        hash_own_code(plain),
    )
    starts = {name: start.to_json() for name, start in starts_of(config).items()}
    if starts:
        environment["started_from"] = starts
    if parts.inputs.unlabelled:
        environment["unlabelled"] = describe_unlabelled(parts.inputs.unlabelled)
    if choices:
        environment["choices"] = dict(choices)
    if like is not None:
        environment["like"] = like
    files: dict[str, str | bytes] = {
        "config.yaml": config_text,
        "overrides.yaml": yaml.safe_dump(list(overrides)),
        "environment.json": json.dumps(environment, indent=2),
        "dataset.json": json.dumps(parts.metadata.to_json()),
        **encode_images(parts.inputs.dataset, parts.metadata),
    }
    name = name_folder(config.name, time.time(), os.environ)
    folder = RunFolder.create(Path(config.output_dir), name, files)
    if parts.metadata.sealed is not None:
        begin_ledger(parts.metadata.sealed, folder.path)
    return folder


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_experiment(
    parts: Parts,
    folder: RunFolder,
    train_epochs: TrainEpochs | None = None,
    mirror: Mirror | None = None,
    followers: Followers | None = None,
) -> int:
    """Run the stages that are not done yet, then draw the pages; return the exit code.

    `train_epochs` takes the place of the loop's, for seeds that train together.
    """
    from expkit.reports.html.index_page import refresh_index
    from expkit.reports.run.pages import refresh
    from expkit.reports.run.run_screen import closing_screen
    from expkit.reports.run.summary import all_passed
    from expkit.runner.session import Session

    progress = Progress(folder)
    mirrored = contextlib.nullcontext() if mirror is None else contextlib.closing(mirror)
    followed = contextlib.nullcontext() if followers is None else contextlib.closing(followers)
    with _explain_full_disk(folder), contextlib.closing(progress), mirrored, followed:
        for line in _introduction(parts, folder.path):
            progress.say(line)
        if mirror is not None:
            progress.say(f"mirror  {mirror.target}")
        draws = parts.inputs.config.plots.get("draw", True)
        if draws:
            _show_samples(parts, folder)
        with contextlib.closing(folder):  # what follows is said of a run that exists
            session = Session(parts, folder, progress, mirror=mirror)
            if train_epochs is not None:
                session = replace(session, train_epochs=train_epochs)
            interrupted = not _finishes(session, progress)
            session.finish_mirror()
        summary = refresh(folder.path, plots=draws and not interrupted)
        progress.say(closing_screen(summary, folder.path))
        refresh_index(folder.path)
        if mirror is not None:
            mirror.finish(progress.say)  # with the pages
            if (news := mirror.news()) is not None and news.error is not None:
                progress.say(f"note    the mirror lacks the last pages: {news.error}")
        if followers is not None:
            followers.finish(progress.say)
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_PASSED if all_passed(summary) else EXIT_FAILED


def _introduction(parts: Parts, folder: Path) -> Iterator[str]:
    """Say what runs, on what, and where it is written."""
    metadata, evaluated = parts.metadata, parts.evaluated is not None
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in parts.splits.items())
    kind = f"{metadata.num_classes} classes" if metadata.num_classes else "numbers to predict"
    held_out = "" if parts.splits.keys() > {"train"} or evaluated else "; no held-out split"
    yield (
        f"run     {folder}\n"
        f"data    {metadata.name}: {sizes} samples, {kind}{held_out}\n"
        f"model   {_model_line(parts)}\n"
        f"device  {parts.device.reason}"
    )
    for remark in parts.inputs.dataset.remarks:
        yield f"note    {remark}"
    for stage, unlabelled in parts.inputs.unlabelled.items():
        for remark in unlabelled.remarks:
            yield f"note    {stage}: {remark}"


def _model_line(parts: Parts) -> str:
    """The size of the net, or the exported file that is evaluated."""
    exported = None if parts.evaluated is None else parts.evaluated.exported
    if exported is None:
        return f"{parts.num_parameters:,} parameters"
    origin = one_line(exported.record.run)
    return f"{exported.title}, {exported.num_bytes / 1e6:.1f} MB, exported from {origin}"


def _show_samples(parts: Parts, folder: RunFolder) -> None:
    """Plot the images that the model will see, to be looked at before they are trained on."""
    from expkit.reports.plots.augmentation import draw_mosaic
    from expkit.runner.preview import preview

    arrays = preview(parts)
    if arrays is not None:
        folder.write_samples("augmented", arrays)
        make_inside(folder.path / "plots", folder.path)
        draw_mosaic(Run(folder.path), folder.path / "plots")


def _finishes(session: Session, progress: Progress) -> bool:
    """Run the stages; return whether the procedure came to its end, and was not interrupted."""
    from expkit.runner.procedure import run_stages

    try:
        run_stages(session)
    except KeyboardInterrupt:
        progress.close()
        return False
    return True


@contextlib.contextmanager
def _explain_full_disk(folder: RunFolder) -> Iterator[None]:
    """A disk that fills up ends a run, and loses nothing that was recorded."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL and not re.search(r"os error (28|27)\b", str(error)):
            raise
        again = "plot" if Run(folder.path).status in ("finished", "failed") else "resume"
        raise UserError(
            "the disk is full; everything up to the last finished epoch is kept",
            where=str(folder.path),
            fix=f"free some space, then: expkit {again} {folder.path}",
        ) from error


def refuse_other_data(run: Run, metadata: DatasetMetadata) -> None:
    """Refuse to go on with other data than the run began with, or with classes of other names."""
    before, now = run.dataset.fingerprints, metadata.fingerprints
    is_renamed = run.dataset_as_read.class_names != metadata.class_names
    if before != now or is_renamed:
        changed = [name for name in before if before[name] != now.get(name)]
        raise UserError(
            "the data is not what it was when the run began",
            where=", ".join([*changed, *(["the names of the classes"] if is_renamed else [])])
            or "splits",
            fix="bring the data back, or start a new run: expkit train ...",
        )
