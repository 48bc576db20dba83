"""Between Hydra, which says which jobs a sweep has, and whoever runs them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NoReturn

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from expkit.config.multirun.ablation import change_of, without_mark
from expkit.config.multirun.job_composer import JobComposer
from expkit.config.override_errors import explain_composition
from expkit.config.run_request import Request, current_choices
from expkit.config.stage_parts import as_typed
from expkit.config.validation import check_others
from expkit.errors import UserError


@dataclass(frozen=True)
class Outcome:
    """The result of a job: its exit code, and its objective where it has one."""

    code: int
    objective: float | None


@dataclass
class Task:
    """The function that Hydra calls: once for a run, or once a job; our launcher gives all jobs.

    Launchers of clusters pickle it, so it holds nothing but functions of modules.
    """

    run: Callable[[Request], int]
    run_job: Callable[[Request], Outcome]  # one job of a sweep, in the process it is to have
    run_jobs: Callable[[Sequence[Request]], Sequence[Outcome]]
    codes: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    sweep_dir: str | None = None  # once it is known that it is a sweep

    def __call__(self, config: DictConfig) -> float | None:
        request = Request.of(config)
        try:
            if not request.is_sweep_job:
                self.codes.append(self.run(request))
                return None
            self.sweep_dir = request.sweep_dir
            outcome = self.run_job(request)
            self.codes.append(outcome.code)
            return outcome.objective
        except Exception as error:
            self.failures.append(error)  # Hydra would print it in its own way
            return None


def refuse_sweep(requests: object) -> NoReturn:
    """For a command that runs one thing alone."""
    raise UserError("this command takes no sweep", fix="expkit train -m ...")


def compose_jobs(
    loader: ConfigLoader,
    master: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first_number: int,
    engine: Mapping[str, Any] | None = None,
) -> list[Request]:
    """All jobs, each checked: an error in one is reported before any of them runs."""
    outer = HydraConfig.instance().cfg
    composer = JobComposer(loader, master)
    try:
        requests = [
            _compose_job(composer, overrides, number, engine)
            for number, overrides in enumerate(job_overrides, start=first_number)
        ]
        _refuse_idle_changes(requests)
        return requests
    finally:
        HydraConfig.instance().cfg = outer


def _refuse_idle_changes(requests: Sequence[Request]) -> None:
    """A change that leaves the config as it was would be measured as worth nothing."""
    seen: dict[str, Request] = {}
    for request in requests:
        config = json.dumps(request.config.to_plain(), sort_keys=True)
        other = seen.setdefault(config, request)
        if other.change != request.change:
            alike = "changes nothing of the recipe"
            if other.change is not None:
                alike = f"comes to the same as '{other.change}'"
            raise UserError(
                f"the change '{request.change}' {alike}",
                where=f"ablation.changes.{request.change}",
                fix=f"another value, or leave it out: '~ablation.changes.{request.change}'",
            )


def _compose_job(
    composer: JobComposer,
    overrides: Sequence[str],
    number: int,
    engine: Mapping[str, Any] | None,
) -> Request:
    try:
        config = composer.compose(overrides)
    except Exception as error:  # the words of an ablation's change are first composed here
        GlobalHydra.instance().clear()  # the sweep ends; what explains it composes anew
        explained = explain_composition(overrides, error)
        raise _of_job(explained, without_mark(overrides), number, change_of(overrides)) from error
    with open_dict(config):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
    HydraConfig.instance().set_config(config)
    choices = current_choices()
    with open_dict(config):
        sweep_dir = str(config.hydra.sweep.dir)
        task_overrides = as_typed(without_mark(config.hydra.overrides.task))
        del config["hydra"]
    request = Request(config, task_overrides, sweep_dir, number, engine, choices)
    try:
        _ = request.config, request.sweep, request.launcher
    except UserError as error:
        raise _of_job(error, without_mark(overrides), number, change_of(overrides)) from error
    return request


def check_others_of(requests: Sequence[Request]) -> None:
    """Refuse what is wrong with the jobs' parts of libraries, which may load torch: the last."""
    for request in requests:
        try:
            check_others(request.config)
        except UserError as error:
            raise _of_job(error, request.overrides, request.number, request.change) from error


def _of_job(
    error: UserError, overrides: Sequence[str], number: int, change: str | None
) -> UserError:
    job = f"job {number}: {' '.join(overrides)}"
    if change is not None:
        job = f"the ablation's change '{change}'\n{job}"
    return UserError(
        error.what,
        where="\n".join(filter(None, (error.details["where"], job))),
        nearest=error.details["nearest"],
        allowed=error.details["allowed"],
        fix=error.details["do"],
    )


def name_sweep() -> str:
    """A word that fixes the sweep's folder, so that every process of it finds the same."""
    stamp = time.strftime("%Y%m%d_%H%M%S")
    return f"hydra.sweep.dir=${{output_dir}}/{stamp}_{os.getpid()}_sweep"


def require_engine(package: str, word: str, *, extra: str) -> None:
    """Refuse a cluster whose package is not installed, before anything is composed."""
    if find_spec(package) is None:
        raise UserError(
            f"'{package}' is not installed, which would launch the jobs",
            where=word,
            fix=f'pip install "expkit[{extra}]"',
        )
