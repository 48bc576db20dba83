"""One job of a sweep, in this process: whatever becomes of it is written down."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.run.mirror import Mirror
from expkit.records.sweep.folder import Sweep, SweepFolder
from expkit.records.sweep.job import DONE, Job, job_id
from expkit.runner.resume import resume_run
from expkit.runner.run import (
    EXIT_INTERRUPTED,
    EXIT_PASSED,
    Build,
    build,
    check_places,
    make_folder,
    run_experiment,
)
from expkit.terminal.signals import stop_on_signals, stop_where_asked

if TYPE_CHECKING:
    from expkit.training.loop import TrainEpochs

EXIT_RAISED, EXIT_REFUSED = 1, 2


def conduct(sweep: Path, identity: str) -> int:
    """A planned job as the work of a whole process, which a signal interrupts."""
    with stop_on_signals():
        return run_planned(sweep, identity)


def run_planned(sweep: Path, identity: str) -> int:
    """Start it, go on with it, or leave it where it is done: an engine may run a job twice.

    Where another process is at it, this one waits for that to end.
    """
    with stop_where_asked(SweepFolder(sweep).stop_file(identity)):
        return run_job(sweep, identity)


def run_job(
    sweep: Path, identity: str, build: Build = build, train_epochs: TrainEpochs | None = None
) -> int:
    """Run a planned job within somebody else's `stop_where_asked`."""
    folder = SweepFolder(sweep)
    try:
        with folder.alone(identity):
            job = _find(folder, identity)
            return 0 if job.status in DONE else _run_and_tell(folder, job, build, train_epochs)
    except KeyboardInterrupt:  # while it waited: a job's own is reported where it runs
        folder.note(identity, "ended", status="interrupted", exit_code=EXIT_INTERRUPTED)
        return EXIT_INTERRUPTED


def _find(folder: SweepFolder, identity: str) -> Job:
    """The job with its run, also where a kill fell between that and the word of it."""
    job = Sweep(folder.path).find_job(identity)
    has_told_all = not job.events or job.events[-1].get("status") in ("raised", "refused")
    if not has_told_all and job.run is None:
        stray = Sweep(folder.path).find_strays().get(identity)
        if stray is not None:
            folder.note(identity, "run", run=stray)
            return job.again()
    return job


def _run_and_tell(
    folder: SweepFolder, job: Job, build: Build, train_epochs: TrainEpochs | None
) -> int:
    folder.note(job.id, "started")
    began = time.monotonic()
    code, status, reason = _run(folder, job, build, train_epochs)
    seconds = time.monotonic() - began
    folder.note(
        job.id, "ended", status=status, reason=reason, exit_code=code, seconds=round(seconds, 3)
    )
    return code


def _run(
    folder: SweepFolder, job: Job, build: Build, train_epochs: TrainEpochs | None
) -> tuple[int, str, str]:
    try:
        code = _carry_out(folder, job, build, train_epochs)
    except UserError as error:
        print(error.screen(), flush=True)
        return EXIT_REFUSED, "refused", error.what
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED, "interrupted", ""
    except SystemExit as error:
        return EXIT_RAISED, "exited", f"sys.exit({error.code!r})"
    except Exception as error:
        traceback.print_exc()
        return EXIT_RAISED, "raised", f"{type(error).__name__}: {error}"[:300]
    if code == EXIT_INTERRUPTED and folder.stop_file(job.id).exists():
        return EXIT_PASSED, "pruned", "it did worse than other trials at the same epoch"
    if code == EXIT_INTERRUPTED:
        return code, "interrupted", ""
    run = job.again().run
    return code, "failed" if run is not None and run.status == "failed" else "finished", ""


def _carry_out(
    folder: SweepFolder, job: Job, build: Build, train_epochs: TrainEpochs | None
) -> int:
    _refuse_forged(job)
    trust = job.config["trust"]
    if job.run is not None:
        return resume_run(job.run, trust, build, train_epochs)
    # where the sweep lies now: it may have been moved, or be resumed from another folder
    config = check_config({**job.config, "output_dir": str(folder.path)})
    check_places(config)
    parts = build(config)
    command = ["expkit", "train", *job.overrides]
    run_folder = make_folder(parts, config, job.overrides, command, job.choices)
    folder.note(job.id, "run", run=run_folder.path.name)
    mirror = Mirror.of(config.mirror, run_folder.path)
    return run_experiment(parts, run_folder, train_epochs, mirror)


def _refuse_forged(job: Job) -> None:
    """Refuse a config that is not of this id: it was not checked."""
    places = {
        "plan.jsonl": job.config,
        **({job.run.name: job.run.recorded_config} if job.run else {}),
    }
    for place, config in places.items():
        if job_id(config) != job.id:
            raise UserError(
                "the config that is written there is not this job's",
                where=str(job.sweep / place),
                fix="start the sweep anew: expkit train -m ...",
            )
