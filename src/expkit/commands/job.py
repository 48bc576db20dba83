"""One job of a sweep, in this process: whatever becomes of it is written down."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from expkit.commands.resume import go_on
from expkit.commands.running import EXIT_INTERRUPTED, build, carry_out, check_output, make_folder
from expkit.config.validation import check_config
from expkit.errors import UserError
from expkit.records.sweep import DONE, Job, Sweep, SweepFolder

EXIT_RAISED, EXIT_REFUSED = 1, 2


def run_planned(sweep: Path, identity: str) -> int:
    """Start it, go on with it, or leave it where it is done: an engine may run a job twice."""
    job = Sweep(sweep).by_id[identity]
    if job.status in DONE:
        return 0
    folder = SweepFolder(sweep)
    folder.note(identity, "started")
    began = time.monotonic()
    code, status, reason = _run(folder, job)
    seconds = time.monotonic() - began
    folder.note(
        identity, "ended", status=status, reason=reason, exit_code=code, seconds=round(seconds, 3)
    )
    return code


def _run(folder: SweepFolder, job: Job) -> tuple[int, str, str]:
    try:
        code = _carry_out(folder, job)
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
    return code, "interrupted" if code == EXIT_INTERRUPTED else "finished", ""


def _carry_out(folder: SweepFolder, job: Job) -> int:
    trust = job.config["trust"]
    if job.run is not None and job.run.status == "interrupted":
        return go_on(job.run, trust)
    config = check_config(job.config)
    check_output(folder.path)
    parts = build(config)
    command = ["expkit", "train", *job.overrides]
    run_folder = make_folder(parts, config, job.overrides, command, job.id)
    folder.note(job.id, "run", run=run_folder.path.name)
    return carry_out(parts, run_folder)
