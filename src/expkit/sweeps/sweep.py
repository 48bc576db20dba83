"""A sweep from its jobs to its table: planned, refused or run, and accounted for."""

from __future__ import annotations

import functools
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expkit.config.instantiate import build_part
from expkit.config.multirun.hydra_task import Outcome, check_others_of
from expkit.config.run_request import Request
from expkit.config.user_code import hash_own_code
from expkit.errors import UserError
from expkit.loggers.chosen import check_loggers
from expkit.loggers.followers import Followers
from expkit.metrics.names import refuse_unknown
from expkit.records.run.environment import describe_environment
from expkit.records.seed_groups import flatten
from expkit.records.sweep.ablation_claims import parse_claims
from expkit.records.sweep.folder import Sweep, SweepFolder, hold_planning
from expkit.records.sweep.job import DONE, FAILED, NOT_IDENTITY, Job, Status, job_id
from expkit.records.sweep.reuse import find_finished
from expkit.runner.run import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED, without_collector
from expkit.sweeps.job import EXIT_REFUSED, run_planned
from expkit.terminal.signals import raise_if_interrupted

if TYPE_CHECKING:
    from expkit.sweeps.launchers.local import Launcher

MISSING: tuple[Status, ...] = ("waiting", "interrupted", "running")  # held by one that is ending


@dataclass(frozen=True)
class Resumption:
    """The part of a planned sweep that is to run; are its jobs known beforehand?"""

    statuses: Collection[Status]
    is_fixed: bool  # not so where a search chooses them


def run_jobs(requests: Sequence[Request], resumption: Resumption | None = None) -> list[Outcome]:
    """Run what is not done yet of these jobs; what each came to."""
    first = requests[0]
    _refuse_unknown_names(first)
    check_loggers(first.config.logger, first.config.trust)
    with without_collector():
        check_others_of(requests)
    folder = open_sweep(first)
    with conducted(folder):
        if resumption is not None and resumption.is_fixed:
            _refuse_other_jobs(Sweep(folder.path), requests)
        identities = plan(folder, requests)
        _say_duplicates(identities, requests)
        open_ = _find_open(folder, identities, first, resumption)
        if open_:
            key = "launcher" if first.engine is None else "hydra.launcher"
            launcher: Launcher = build_part(first.launcher, key, first.config.trust)
            with _followed(folder.path, first):
                launcher.run(folder.path, open_)
        raise_if_interrupted()
    sweep = Sweep(folder.path)
    return [outcome_of(sweep.by_id[each], sweep.objective) for each in identities]


def run_job(request: Request) -> Outcome:
    """One job in this process, as an engine of Hydra's calls for it: each opens the sweep."""
    with hold_planning(Path(str(request.sweep_dir))):
        folder = open_sweep(request)
        (identity,) = plan(folder, [request])
    run_planned(folder.path, identity)
    sweep = Sweep(folder.path)
    return outcome_of(sweep.find_job(identity), sweep.objective)


def outcome_of(job: Job, metric: str) -> Outcome:
    """A job that did not come to its end has failed, and has no figure to be sorted by."""
    from expkit.reports.run.digests import recall_digest
    from expkit.reports.run.summary import all_passed, recall

    if job.status == "interrupted":
        return Outcome(EXIT_INTERRUPTED, None)
    if job.status == "pruned":
        return Outcome(EXIT_PASSED, None)
    if job.run is None or job.status not in DONE:
        return Outcome(EXIT_REFUSED if job.status == "refused" else EXIT_FAILED, None)
    code = EXIT_PASSED if all_passed(recall(job.run)) else EXIT_FAILED
    return Outcome(code, recall_digest(job.run).figure(metric))


def open_sweep(request: Request) -> SweepFolder:
    """The folder of the sweep, which a later batch or a resumed sweep finds there."""
    path = Path(str(request.sweep_dir))
    command = ["expkit", "train", *sys.argv[1:]]  # Hydra has "expkit train" as word 0
    if (path / "sweep.json").exists():
        _refuse_other_words(Sweep(path), command)
        return SweepFolder(path)
    _refuse_unknown_names(request)
    metadata = {
        "claims": request.ablation.get("claims") or {},
        **describe_environment(command, "", ""),
        "cwd": str(Path.cwd()),
        **asdict(request.sweep),
    }
    return SweepFolder.create(path, metadata)


def _refuse_unknown_names(request: Request) -> None:
    """A sweep is judged by metrics, and an ablation's claims are of its changes."""
    refuse_unknown(request.sweep.objective)
    left_out = [
        word.removeprefix("~ablation.changes.") for word in sys.argv[1:] if word.startswith("~")
    ]
    changes = [*(request.ablation.get("changes") or {}), *left_out]
    parse_claims(request.ablation.get("claims") or {}, changes)


def _refuse_other_words(sweep: Sweep, command: Sequence[str]) -> None:
    """Two sweeps in one folder would have one table, and be resumed as the first of them."""
    if _words_of_jobs(command) != _words_of_jobs(sweep.metadata["command"]):
        raise UserError(
            f"'{sweep.name}' is there already, and is a sweep of other words",
            where=f"hydra.sweep.dir={sweep.path}\nit is: {shlex.join(sweep.metadata['command'])}",
            fix="leave hydra.sweep.dir out, or name another folder",
        )


def _words_of_jobs(command: Sequence[str]) -> list[str]:
    """Without those that resuming a sweep puts in place of its own."""
    keys = ("trust", "hydra.sweep.dir", "launcher", "logger")
    return [word for word in command if not _key_of(word).startswith(keys)]


def _key_of(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


@contextmanager
def conducted(folder: SweepFolder) -> Iterator[None]:
    """By this process alone."""
    lock = folder.hold()
    try:
        folder.mend()
        yield
    finally:
        os.close(lock)


@contextmanager
def _followed(folder: Path, request: Request) -> Iterator[None]:
    """Send the sweep's runs to its loggers: a process each, however many jobs there are."""
    config = request.config
    with closing(Followers.start(folder, config.logger, config.trust)) as followers:
        try:
            yield
        finally:
            followers.finish(functools.partial(print, flush=True))


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
        folder.plan(
            identity, request.number, request.overrides, config, request.change, request.choices
        )
    return identities


def _refuse_other_jobs(sweep: Sweep, requests: Sequence[Request]) -> None:
    """The recorded words must mean what they meant when the sweep began."""
    planned, known = {job.number: job for job in sweep.jobs}, sweep.by_id
    for request in requests:
        job, config = planned.get(request.number), request.config.to_plain()
        if job is None or job_id(config) in known:  # shuffle() gives it another number each time
            continue
        before, now = _as_told(job.config), _as_told(config)
        key = next(key for key in {**before, **now} if before.get(key) != now.get(key))
        raise UserError(
            f"job {job.number} is not what it was when '{sweep.name}' began: the choices in conf/ "
            "have changed, or this is another folder",
            where=f"{key}: was {before.get(key, 'not there')}, is {now.get(key, 'not there')}\n"
            f"the sweep was started in {sweep.metadata.get('cwd')}",
            fix="undo the change, go there, or start a new sweep: expkit train -m ...",
        )


def _as_told(config: Mapping[str, Any]) -> dict[str, str]:
    """A job is recognised by its config's text, in which 1 is not 1.0 and null is a value."""
    identity = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    return {key: json.dumps(value) for key, value in flatten(identity).items()}


def _say_duplicates(identities: Sequence[str], requests: Sequence[Request]) -> None:
    counts = Counter(identities)
    num_duplicates = counts.total() - len(counts)
    if num_duplicates:
        twice = next(each for each, count in counts.items() if count > 1)
        numbers = [
            str(request.number)
            for request, each in zip(requests, identities, strict=True)
            if each == twice
        ]
        print(
            f"note    {num_duplicates} of {len(identities)} jobs are the same as others, and run "
            f"once: {', '.join(numbers[:4])} are one",
            flush=True,
        )


def _find_open(
    folder: SweepFolder,
    identities: Sequence[str],
    request: Request,
    resumption: Resumption | None,
) -> list[str]:
    """The jobs to run, in order, once those that were finished elsewhere are taken over."""
    wanted = (*MISSING, *FAILED) if resumption is None else resumption.statuses
    jobs = Sweep(folder.path).by_id
    open_ = [each for each in dict.fromkeys(identities) if jobs[each].status in wanted]
    if request.sweep.reuse:
        taken = _take_over(folder, open_)
        open_ = [each for each in open_ if each not in taken]
    if resumption is not None:
        num_done = sum(jobs[each].status in DONE for each in dict.fromkeys(identities))
        print(f"{folder.path.name}: {num_done} of {len(jobs)} jobs done, {len(open_)} to run")
    return open_


def _take_over(folder: SweepFolder, identities: Collection[str]) -> set[str]:
    environment = describe_environment([], "", "")
    configs = {job.id: job.config for job in Sweep(folder.path).jobs if job.id in identities}
    own_code = {identity: hash_own_code(config) for identity, config in configs.items()}
    found, num_changed = find_finished(folder.path.parent, identities, environment, own_code)
    for identity, path in found.items():
        folder.note(identity, "reused", run=str(path.absolute()))
    if found or num_changed:
        changed = (
            f"; {num_changed} more were, but by other or uncommitted code" if num_changed else ""
        )
        print(f"note    {len(found)} jobs were finished before: taken over{changed}", flush=True)
    return set(found)
