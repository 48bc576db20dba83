"""A sweep from its jobs to its table: planned, refused or run, and accounted for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from expkit.commands.interruption import raise_if_interrupted
from expkit.commands.job import EXIT_REFUSED, run_planned
from expkit.commands.running import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED
from expkit.config.parts import build_part
from expkit.config.request import Request
from expkit.config.sweeping import Outcome
from expkit.records.environment import describe_environment
from expkit.records.sweep import DONE, Job, Sweep, SweepFolder, job_id

if TYPE_CHECKING:
    from expkit.commands.launching import Launcher


def run_jobs(requests: Sequence[Request]) -> list[Outcome]:
    """Run what is not done yet of these jobs; what each came to."""
    first = requests[0]
    folder = open_sweep(first)
    identities = plan(folder, requests)
    jobs = Sweep(folder.path).by_id
    open_ = [each for each in dict.fromkeys(identities) if jobs[each].status not in DONE]
    launcher: Launcher = build_part(first.launcher, "launcher")
    launcher.run(folder.path, open_)
    raise_if_interrupted()
    jobs = Sweep(folder.path).by_id
    return [outcome_of(jobs[each], first.sweep.objective) for each in identities]


def run_job(request: Request) -> Outcome:
    """One job in this process, as an engine of Hydra's calls for it."""
    folder = open_sweep(request)
    (identity,) = plan(folder, [request])
    run_planned(folder.path, identity)
    return outcome_of(Sweep(folder.path).by_id[identity], request.sweep.objective)


def outcome_of(job: Job, metric: str) -> Outcome:
    """A job that did not come to its end has failed, and has no figure to be sorted by."""
    from expkit.reports.digests import recall_digest
    from expkit.reports.summary import all_passed, recall

    if job.status == "interrupted":
        return Outcome(EXIT_INTERRUPTED, None)
    if job.run is None or job.status not in DONE:
        return Outcome(EXIT_REFUSED if job.status == "refused" else EXIT_FAILED, None)
    code = EXIT_PASSED if all_passed(recall(job.run)) else EXIT_FAILED
    return Outcome(code, recall_digest(job.run).figure(metric))


def open_sweep(request: Request) -> SweepFolder:
    """The folder of the sweep, which a later batch or a resumed sweep finds there."""
    path = Path(str(request.sweep_dir))
    if (path / "sweep.json").exists():
        return SweepFolder(path)
    facts = {
        **describe_environment(["expkit", "train", *sys.argv[1:]], "", ""),
        **asdict(request.sweep),
    }
    return SweepFolder.create(path, facts)


def plan(folder: SweepFolder, requests: Sequence[Request]) -> list[str]:
    """Write down the jobs that are not planned yet; the id of each request."""
    known = {job.id for job in Sweep(folder.path).jobs}
    identities = []
    for request in requests:
        config = request.config.to_plain()
        identity = job_id(config)
        identities.append(identity)
        if identity in known:
            continue
        known.add(identity)
        folder.plan(identity, request.number, request.overrides, config, request.change)
    return identities
