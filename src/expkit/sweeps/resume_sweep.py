"""Going on with a sweep: the words that began it, composed again in the same folder."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from expkit.config.compose import compose_and_run
from expkit.config.multirun.hydra_task import Task
from expkit.config.multirun.recorded_overrides import grants_trust, may_run_code
from expkit.errors import UserError
from expkit.records.sweep.folder import Sweep
from expkit.records.sweep.job import FAILED, Status
from expkit.runner.run import run_request
from expkit.sweeps.final_pages import concluded
from expkit.sweeps.sweep import MISSING, Resumption, run_job, run_jobs

HYDRA = "hydra"  # what --trust says for words that configure Hydra itself
LAUNCHER = ("launcher.", "launcher=")
MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")


def resume_sweep(
    sweep: Sweep,
    trusted: Sequence[str],
    changes: Sequence[str] = (),
    *,
    failed: bool,
    missing: bool,
) -> int:
    """Run what is missing, cut off or failed, or one of these alone; the exit code.

    `changes` say how the jobs run from now on, in place of what the sweep began with.
    """
    given = sweep.command[2:]
    words = _with_changes(list(_harmless(given, sweep, trusted)), changes)
    statuses: list[Status] = []
    if missing or not failed:
        statuses += MISSING
    if failed or not missing:
        statuses += FAILED
    is_fixed = not any(word.startswith("hydra/sweeper=") for word in given)
    if not is_fixed and failed != missing:
        raise UserError(
            "which trials a search runs is the search's to choose",
            where=f"expkit resume {sweep.path} --{'failed' if failed else 'missing'}",
            fix=f"expkit resume {shlex.quote(str(sweep.path))}   "
            "(those that failed are asked again)",
        )
    resumption = Resumption(statuses, is_fixed)
    task = Task(run_request, run_job, functools.partial(run_jobs, resumption=resumption))
    trust = [f"trust=[{','.join(name for name in trusted if name != HYDRA)}]"] if trusted else []
    with concluded(task):
        compose_and_run([*words, *trust, f"hydra.sweep.dir={_quoted(sweep.path)}"], task)
    return max(task.codes, default=0)


def _harmless(words: Sequence[str], sweep: Sweep, trusted: Sequence[str]) -> Iterator[str]:
    """Without the words that a stranger's sweep would say of whom the user trusts.

    Flags name folders to take choices from; whatever else the words say, they are a sweep's.
    """
    yield "-m"
    for word in words:
        if word in MULTIRUN or word.startswith("hydra.sweep.dir="):
            continue
        if _key_of(word).startswith("logger"):  # a stranger's would say where records are sent
            print(
                f"note    not used: {word}; to send the runs when they are done: "
                f"expkit log {shlex.quote(str(sweep.path))} --to LOGGER"
            )
            continue
        if grants_trust(word):
            continue
        if (word.startswith("-") or may_run_code(word)) and HYDRA not in trusted:
            raise UserError(
                f"a word of '{sweep.name}' could run code of whoever began it: {word}",
                where=str(sweep.path / "sweep.json"),
                fix="if that was you: "
                f"expkit resume {shlex.quote(str(sweep.path))} --trust {HYDRA}",
            )
        yield word


def _with_changes(words: Sequence[str], changes: Sequence[str]) -> list[str]:
    """The recorded words with other values of `launcher`, which no job's config knows of."""
    for change in changes:
        if not change.startswith(LAUNCHER):
            raise UserError(
                "a sweep is resumed with the words that it began with, but for its launcher",
                where=change,
                allowed="launcher.KEY=VALUE: jobs, jobs_per_device, timeout, fail_fast",
            )
    keys = {_key_of(change) for change in changes}
    return [*(word for word in words if _key_of(word) not in keys), *changes]


def _key_of(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _quoted(path: Path) -> str:
    text = str(path.absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
